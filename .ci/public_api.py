#!/usr/bin/env python3
"""Lists the public interface of the library, one item a line, from its sources.

The lint `unreachable_pub` makes every `pub` item in src one that users reach, so that a reader of the sources
needs no compiler for this. Signatures are joined to one line. Methods of traits and variants of enums stand
under their item.

    .ci/public_api.py > docs/public-api.txt     after a change of the interface
    .ci/public_api.py --check                   fails if the listing is another
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTING = ROOT / "docs" / "public-api.txt"
ITEM = re.compile(r"\s*(pub (?!\(|use |mod )|impl\b|fn |type |const )")


def head(lines):
    """The declaration that begins on the first line, without its body."""
    text = ""
    for line in lines:
        text += " " + line.split("//")[0].strip()
        flat = re.sub(r"\s+", " ", text).strip()
        if flat.endswith(("{", ";", "}", ",")) and flat.count("(") == flat.count(")"):
            break
    body = re.split(r"\s*\{", flat, maxsplit=1)[0] if not flat.startswith("pub use") else flat
    return body.rstrip(" ;,").replace("( ", "(").replace(", )", ")")


def items(path):
    lines = path.read_text().splitlines()
    owner, kind = "", ""
    for i, line in enumerate(lines):
        if line.startswith("#[cfg(test)]"):
            break
        if line.startswith("}"):
            owner, kind = "", ""
        if re.match(r"(unsafe )?impl\b", line):
            owner = head(lines[i:])
            kind = "trait impl" if re.search(r"\bfor [A-Z&]", owner.split(" where ")[0]) else "impl"
            if kind == "trait impl":
                yield owner
        elif match := re.match(r"pub (trait|enum|struct) ", line):
            owner, kind = head(lines[i:]), match[1]
            yield owner
        elif re.match(r"pub (?!use |mod )", line):
            yield head(lines[i:])
        elif re.match(r"    pub (?!\()", line):
            yield f"{owner} :: {head(lines[i:])}"
        elif kind == "trait" and re.match(r"    (fn|type|const) ", line):
            yield f"{owner} :: {head(lines[i:])}"
        elif kind == "enum" and (match := re.match(r"    ([A-Z]\w*)", line)):
            yield f"{owner} :: {match[1]}"


def used(text):
    return set(re.findall(r"\w+", " ".join(re.findall(r"pub use ([^;]*);", text))))


def modules(exported):
    """The public modules that have a file, each with the names in it."""
    for module in re.findall(r"^pub mod (\w+);", exported, re.MULTILINE):
        files = [ROOT / "src" / f"{module}.rs", ROOT / "src" / module / "mod.rs"]
        text = next(path for path in files if path.exists()).read_text()
        own = set(re.findall(r"^pub (?:trait|enum|struct|fn|type) (\w+)", text, re.MULTILINE))
        yield module, own | {name for name in used(text) if name not in re.findall(r"^mod (\w+);", text, re.MULTILINE)}


def listing():
    exported = (ROOT / "src" / "lib.rs").read_text()
    names = used(exported)
    found = [item for path in sorted((ROOT / "src").rglob("*.rs")) for item in items(path)]
    for module, inside in modules(exported):
        names |= inside
        found += [f"pub mod {module} :: {name}" for name in inside]
    sources = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    traits, types = (set(re.findall(rf"^(?:pub\(\w+\) )?(?:{kind}) (\w+)", sources, re.MULTILINE)) - names
                     for kind in ("trait", "struct|enum"))
    of_private = re.compile(rf"\b(?:{'|'.join(sorted(traits))})\b(?:<.*>)? for |\bfor (?:{'|'.join(sorted(types))})\b")
    reached = [item for item in found if names & set(re.findall(r"\w+", item)) and not of_private.search(item)]
    return "\n".join(sorted(set(reached))) + "\n"


if sys.argv[1:] == ["--check"]:
    if LISTING.read_text() != listing():
        sys.exit("docs/public-api.txt is not the interface: run `.ci/public_api.py > docs/public-api.txt` and review")
else:
    print(listing(), end="")
