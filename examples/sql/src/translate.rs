//! An application as a program in Rust: each expression a function, with its SQL beside it, and each window one of
//! the library's.

use std::fmt::Write as _;

use crate::aggregate::Aggregate;
use crate::expr::Expr;
use crate::functions::Function;
use crate::plan::{Column, Frame, Plan, Pump, Stream, Window, Work};
use crate::types::{Type, Value};

const HEAD: &str = r##"//! Made from the text of a Kinesis Data Analytics SQL application by `sql translate`.
//!
//! Put it into a package of its own beside this repository:
//!
//! ```toml
//! [dependencies]
//! stagger = { path = "PATH/TO/REPOSITORY" }
//! sql = { path = "PATH/TO/REPOSITORY/examples/sql" }
//! ```
//!
//! It reads JSON lines from standard input, takes the arrival from the field that its argument names, and writes the
//! rows of its streams as JSON lines.
#![allow(unused_imports, clippy::all)]

use std::time::Duration;

use sql::translated::*;
use stagger::{Bucket, Stagger, Unit};

fn main() -> std::process::ExitCode {
    sql::program::main(&application())
}
"##;

/// Writes the program.
pub fn translate(plan: &Plan) -> String {
    let mut code = HEAD.to_owned();
    code.push_str("\npub fn application() -> Plan {\n    let streams = vec![\n");
    for stream in &plan.streams {
        stream_of(stream, &mut code);
    }
    let pumps: Vec<String> = (0..plan.pumps.len()).map(|index| format!("pump_{index}::pump()")).collect();
    let _ = write!(
        code,
        "    ];\n    let pumps = vec![{}];\n    Plan {{ streams, source: {}, pumps, order: vec!{:?}, is_inferred: {}, text: String::new() }}\n}}\n",
        pumps.join(", "),
        plan.source,
        plan.order,
        plan.is_inferred
    );
    for (index, pump) in plan.pumps.iter().enumerate() {
        pump_of(plan, index, pump, &mut code);
    }
    code
}

fn stream_of(stream: &Stream, code: &mut String) {
    let _ = writeln!(code, "        // CREATE STREAM \"{}\"", one_line(&stream.name));
    let _ = writeln!(
        code,
        "        Stream {{\n            name: {:?}.to_owned(),\n            columns: vec![",
        stream.name
    );
    for Column { name, ty, fields } in &stream.columns {
        let fields = fields.iter().map(|field| format!("{field:?}.to_owned()")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            code,
            "                Column {{ name: {name:?}.to_owned(), ty: {}, fields: vec![{fields}] }},",
            type_of(*ty)
        );
    }
    let _ = writeln!(
        code,
        "            ],\n            is_filled: {},\n            is_read: {},\n        }},",
        stream.is_filled, stream.is_read
    );
}

/// The functions of a pump, as they are written one after another.
struct Functions<'c> {
    code: &'c mut String,
    /// Names of the columns of the rows that they read.
    columns: Vec<String>,
}

impl Functions<'_> {
    fn write(&mut self, name: &str, sql: &str, expr: &Expr) {
        let body = rust(expr, &self.columns);
        let _ = write!(
            self.code,
            "\n    // {}\n    fn {name}(row: &[Value]) -> Evaluated {{\n        Ok({body})\n    }}\n",
            one_line(sql)
        );
    }
}

fn pump_of(plan: &Plan, index: usize, pump: &Pump, code: &mut String) {
    let (from, into) = (&plan.streams[pump.from], &plan.streams[pump.into]);
    let _ = writeln!(
        code,
        "\n// CREATE PUMP \"{}\" AS INSERT INTO \"{}\" SELECT STREAM … FROM \"{}\"\nmod pump_{index} {{\n    use super::*;",
        one_line(&pump.name),
        one_line(&into.name),
        one_line(&from.name)
    );
    let read = columns_of(from);
    let mut functions = Functions { code, columns: read.clone() };
    if let Some(filter) = &pump.filter {
        functions.write("filter", &format!("WHERE {}", pump.sql.filter.as_deref().unwrap_or_default()), filter);
    }
    let mut lists = Vec::new();
    match &pump.work {
        Work::Rows => {}
        Work::Group(group) => {
            for (number, key) in group.keys.iter().enumerate() {
                let sql = pump.sql.partition.get(number).map_or("", String::as_str);
                functions.write(&format!("key_{number}"), &format!("PARTITION BY {sql}"), &key.expr);
            }
            lists.push(arguments("argument", &group.arguments, &mut functions));
            functions.columns = pump.sql.partition.clone();
            functions.columns.push("ROWTIME".to_owned());
            functions
                .columns
                .extend(group.aggregates.iter().map(|aggregate| called(aggregate, &group.arguments, &read)));
        }
        Work::Over(overs) => {
            for (window, over) in overs.iter().enumerate() {
                lists.push(arguments(&format!("partition_{window}"), &over.partition, &mut functions));
                lists.push(arguments(&format!("argument_{window}"), &over.arguments, &mut functions));
            }
            for over in overs {
                functions
                    .columns
                    .extend(over.aggregates.iter().map(|one| called(one, &over.arguments, &read) + " OVER"));
            }
        }
    }
    if let Some(having) = &pump.having {
        functions.write("having", &format!("HAVING {}", pump.sql.having.as_deref().unwrap_or_default()), having);
    }
    for (number, (output, column)) in pump.outputs.iter().zip(&into.columns).enumerate() {
        let sql = pump.sql.columns[number].as_deref().unwrap_or("its column of *, or NULL");
        functions.write(&format!("column_{number}"), &format!("{sql}, for \"{}\"", column.name), output);
    }
    whole(index, pump, &lists, code);
}

fn columns_of(stream: &Stream) -> Vec<String> {
    let names = stream.columns.iter().map(|column| format!("\"{}\"", column.name));
    names.chain(["ROWTIME", "APPROXIMATE_ARRIVAL_TIME"].map(str::to_owned)).collect()
}

fn called(aggregate: &Aggregate, arguments: &[Expr], columns: &[String]) -> String {
    let of = match aggregate.argument.map(|argument| &arguments[argument]) {
        None => "*".to_owned(),
        Some(Expr::Column(index)) => columns.get(*index).cloned().unwrap_or_default(),
        Some(_) => "…".to_owned(),
    };
    format!("{}({of})", crate::explain::name(aggregate.kind))
}

/// Functions for several expressions, and the list of them.
fn arguments(name: &str, expressions: &[Expr], functions: &mut Functions<'_>) -> String {
    let one = |(number, expr): (usize, &Expr)| {
        let name = format!("{name}_{number}");
        functions.write(&name, "an argument of its aggregates, or of its window", expr);
        format!("native({name})")
    };
    expressions.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// The pump, of its functions.
fn whole(index: usize, pump: &Pump, lists: &[String], code: &mut String) {
    let _ = index;
    let optional = |is: bool, name: &str| if is { format!("Some(native({name}))") } else { "None".to_owned() };
    let outputs =
        (0..pump.outputs.len()).map(|number| format!("native(column_{number})")).collect::<Vec<_>>().join(", ");
    let _ = write!(
        code,
        "\n    pub fn pump() -> Pump {{\n        Pump {{\n            name: {:?}.to_owned(),\n            from: {},\n            into: {},\n            filter: {},\n            work: {},\n            having: {},\n            outputs: vec![{outputs}],\n            sql: Texts::default(),\n        }}\n    }}\n}}\n",
        pump.name,
        pump.from,
        pump.into,
        optional(pump.filter.is_some(), "filter"),
        work(&pump.work, lists),
        optional(pump.having.is_some(), "having"),
    );
}

fn work(work: &Work, lists: &[String]) -> String {
    match work {
        Work::Rows => "Work::Rows".to_owned(),
        Work::Group(group) => {
            let (window, windows) = windows(group.window);
            let keys = group
                .keys
                .iter()
                .enumerate()
                .map(|(number, key)| format!("Typed {{ expr: native(key_{number}), ty: {} }}", type_of(key.ty)));
            format!(
                "Work::Group(Group {{\n                window: {window},\n                windows: {windows},\n                keys: vec![{}],\n                arguments: vec![{}],\n                aggregates: vec![{}],\n            }})",
                keys.collect::<Vec<_>>().join(", "),
                lists[0],
                aggregates(&group.aggregates)
            )
        }
        Work::Over(overs) => {
            let overs = overs.iter().enumerate().map(|(window, over)| {
                let frame = match over.frame {
                    Frame::Range(millis) => format!("Frame::Range({millis})"),
                    Frame::Rows(rows) => format!("Frame::Rows({rows})"),
                };
                format!(
                    "Over {{ partition: vec![{}], frame: {frame}, arguments: vec![{}], aggregates: vec![{}], slots: vec!{:?} }}",
                    lists[2 * window],
                    lists[2 * window + 1],
                    aggregates(&over.aggregates),
                    over.slots
                )
            });
            format!("Work::Over(vec![{}])", overs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn windows(window: Window) -> (String, String) {
    match window {
        Window::Stagger(range) => (
            format!("Window::Stagger({range})"),
            format!("Stagger::per_key(Duration::from_millis({range})).remember_parts(Duration::ZERO)"),
        ),
        Window::Step(step) => (
            format!("Window::Step({step})"),
            format!("Stagger::on_event_time(Bucket::step(Duration::from_millis({step})))"),
        ),
        Window::Floor(unit) => {
            (format!("Window::Floor(Unit::{unit:?})"), format!("Stagger::on_event_time(Bucket::floor(Unit::{unit:?}))"))
        }
    }
}

fn aggregates(aggregates: &[Aggregate]) -> String {
    let one = |aggregate: &Aggregate| {
        let Aggregate { kind, argument, is_distinct, ignores_nulls, ty } = aggregate;
        format!(
            "Aggregate {{ kind: Kind::{kind:?}, argument: {argument:?}, is_distinct: {is_distinct}, ignores_nulls: {ignores_nulls}, ty: {} }}",
            type_of(*ty)
        )
    };
    aggregates.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn type_of(ty: Type) -> String {
    format!("Type::{ty:?}")
}

/// A text that cannot end a comment early.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /").replace("/*", "/ *")
}

// --- Expressions ---

/// An expression of Rust with this value.
fn rust(expr: &Expr, columns: &[String]) -> String {
    let of = |one: &Expr| rust(one, columns);
    let lazy = |all: &[Expr]| {
        let parts: Vec<String> = all.iter().map(|one| format!("&|| Ok({})", rust(one, columns))).collect();
        format!("&[{}]", parts.join(", "))
    };
    match expr {
        Expr::Column(index) => match columns.get(*index) {
            Some(name) => format!("row[{index}].clone() /* {} */", one_line(name)),
            None => format!("row[{index}].clone()"),
        },
        Expr::Literal(value) => literal(value),
        Expr::Not(one) => format!("not(&{})", of(one)),
        Expr::And(all) => format!("and({})?", lazy(all)),
        Expr::Or(any) => format!("or({})?", lazy(any)),
        Expr::Compare(comparison, left, right) => {
            format!("compare(&{}, Comparison::{comparison:?}, &{})", of(left), of(right))
        }
        Expr::IsNull(one) => format!("is_null(&{})", of(one)),
        Expr::Is(one, target) => format!("is(&{}, {target})", of(one)),
        Expr::In(one, list) => format!("is_in(&{}, {})?", of(one), lazy(list)),
        Expr::Like(one, pattern, escape) => format!("like(&{}, &{}, {escape:?})?", of(one), of(pattern)),
        Expr::Arithmetic(operator, numbers, left, right) => {
            format!("calculate(&{}, Operator::{operator:?}, &{}, Numbers::{numbers:?})?", of(left), of(right))
        }
        Expr::Negate(one) => format!("negate({})?", of(one)),
        Expr::Later(time, interval) => format!("later(&{}, &{})?", of(time), of(interval)),
        Expr::Concat(parts) => format!("join({})?", lazy(parts)),
        Expr::Case(whens, otherwise) => {
            let whens = whens.iter().map(|(when, then)| format!("if is_true(&{}) {{ {} }} else ", of(when), of(then)));
            format!("{}{{ {} }}", whens.collect::<String>(), of(otherwise))
        }
        Expr::Cast(one, to) => format!("cast({}, {})?", of(one), type_of(*to)),
        Expr::Call(Function::Coalesce, parts) => format!("coalesce({})?", lazy(parts)),
        Expr::Call(function, arguments) => call(*function, &arguments.iter().map(of).collect::<Vec<_>>()),
        Expr::Native(_) => "Value::Null".to_owned(), // a plan of a text has none
    }
}

fn call(function: Function, arguments: &[String]) -> String {
    let all = arguments.join(", ");
    let name = match function {
        Function::Step(millis) => return format!("step({all}, {millis})?"),
        Function::Floor(unit) => return format!("floor_to({all}, Unit::{unit:?})?"),
        Function::Ceil(unit) => return format!("ceil_to({all}, Unit::{unit:?})?"),
        Function::Extract(field) => return format!("extract(Field::{field:?}, {all})?"),
        Function::Trim(side) => return format!("trim(Side::{side:?}, {all})?"),
        Function::Substring if arguments.len() == 2 => "substring_from",
        Function::Substring => "substring",
        Function::StepNumber => "step_number",
        Function::FloorNumber => "floor",
        Function::CeilNumber => "ceil",
        Function::Position => "position",
        Function::CharLength => "char_length",
        Function::Upper => "upper",
        Function::Lower => "lower",
        Function::UnixTimestamp => "unix_timestamp",
        Function::ToTimestamp => "to_timestamp",
        Function::Tsdiff => "tsdiff",
        Function::Coalesce => "coalesce",
        Function::Nullif => "nullif",
        Function::Abs => "abs",
        Function::Sqrt => "sqrt",
        Function::Exp => "exp",
        Function::Ln => "ln",
        Function::Log10 => "log10",
        Function::Power => "power",
    };
    format!("{name}({all})?")
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("Value::text({:?})", text.as_str()),
        Value::Double(number) if number.is_infinite() => "Value::Double(f64::INFINITY)".to_owned(),
        other => format!("Value::{other:?}"),
    }
}
