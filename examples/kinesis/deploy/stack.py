"""The template with its parameters filled in: what CloudFormation would make of it."""

import itertools
import pathlib
import re

from cfnlint.decode import decode

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATE = HERE / "template.yaml"
ACCOUNT = "123456789012"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": "us-east-1",
    "AWS::Partition": "aws",
    "AWS::StackName": "sessions",
    "AWS::NoValue": None,
}
# The value of an attribute, where the rest of the template depends on its form.
ATTRIBUTES = {
    "Bucket.Arn": lambda values: f"arn:aws:s3:::{values['BucketName']}",
    "Stream.Arn": lambda values: f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{values['StreamName']}",
    "Repository.Arn": lambda values: f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/repository",
    "Cluster.Arn": lambda values: f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/cluster",
    "GeneratorRole.Arn": lambda values: f"arn:aws:iam::{ACCOUNT}:role/generator",
    "ExecutionRole.Arn": lambda values: f"arn:aws:iam::{ACCOUNT}:role/execution",
}
REFERENCES = {"Bucket": "BucketName", "Stream": "StreamName", "Database": "DatabaseName"}


def load():
    template, problems = decode(str(TEMPLATE))
    if problems:
        raise SystemExit(f"{TEMPLATE.name}: {problems[0].message}")
    return template


def choices(template, *names):
    """Every way to choose these parameters."""
    values = [template["Parameters"][name]["AllowedValues"] for name in names]
    return [dict(zip(names, chosen)) for chosen in itertools.product(*values)]


class Stack:
    """The template with these parameters."""

    def __init__(self, template, **parameters):
        self.template = template
        self.values = {name: given.get("Default") for name, given in template["Parameters"].items()}
        self.values |= {"BucketName": "sessions-bucket"} | parameters
        self.resources = {
            name: self.resolve(resource)
            for name, resource in template["Resources"].items()
            if self.holds(resource.get("Condition"))
        }

    def holds(self, condition):
        return condition is None or self.truth(self.template["Conditions"][condition])

    def truth(self, rule):
        (kind, argument), = rule.items()
        match kind:
            case "Fn::Equals":
                left, right = map(self.resolve, argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.truth(argument[0])
            case "Fn::And":
                return all(map(self.truth, argument))
            case "Condition":
                return self.holds(argument)
        raise NotImplementedError(kind)

    def refusals(self):
        """Why CloudFormation would not take these parameters together."""
        for rule in self.template["Rules"].values():
            if self.truth(rule["RuleCondition"]):
                for assertion in rule["Assertions"]:
                    if not self.truth(assertion["Assert"]):
                        yield assertion["AssertDescription"]

    def resolve(self, node):
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (kind, argument), = node.items()
            if kind == "Ref" or kind.startswith("Fn::"):
                return self.function(kind, argument)
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not None}

    def function(self, kind, argument):
        match kind:
            case "Ref":
                return self.reference(argument)
            case "Fn::GetAtt":
                return self.attribute(argument if isinstance(argument, str) else ".".join(argument))
            case "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self.holds(condition) else no)
            case "Fn::FindInMap":
                name, key, value = map(self.resolve, argument)
                return self.template["Mappings"][name][key][value]
            case "Fn::Select":
                index, values = argument
                return self.resolve(values)[int(index)]
            case "Fn::GetAZs":
                return ["us-east-1a", "us-east-1b", "us-east-1c"]
            case "Fn::Split":
                separator, text = argument
                return self.resolve(text).split(separator)
            case "Fn::Sub":
                text, own = (argument, {}) if isinstance(argument, str) else argument
                own = {name: self.resolve(value) for name, value in own.items()}
                text = re.sub(r"\$\{([^!}]+)\}", lambda found: str(self.named(found[1], own)), text)
                return text.replace("${!", "${")
        raise NotImplementedError(kind)

    def named(self, name, own):
        if name in own:
            return own[name]
        return self.attribute(name) if "." in name else self.reference(name)

    def reference(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.values:
            return self.values[name]
        return self.values[REFERENCES[name]] if name in REFERENCES else f"<{name}>"

    def attribute(self, name):
        return ATTRIBUTES[name](self.values) if name in ATTRIBUTES else f"<{name}>"

    def properties(self, name):
        return self.resources[name]["Properties"]

    def of_type(self, kind):
        """Names and properties of the resources of a type."""
        return {name: made.get("Properties", {}) for name, made in self.resources.items() if made["Type"] == kind}

    def command(self, task="Task"):
        """What the container is started with, after the program."""
        return [str(word) for word in self.properties(task)["ContainerDefinitions"][0]["Command"]]

    def policies(self, role):
        return [policy["PolicyDocument"] for policy in self.properties(role)["Policies"]]

    def table(self, resource):
        return self.properties(resource)["TableInput"]
