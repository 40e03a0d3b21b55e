//! An application as a program in Rust: each expression a function, with its SQL beside it, and each window one of
//! the library's.

use std::fmt::Write as _;

use crate::aggregate::Aggregate;
use crate::expr::Expr;
use crate::functions::Function;
use crate::plan::{Column, Plan, Pump, Stream, Window, Work};
use crate::types::{Type, Value};

const HEAD: &str = r##"//! Made from the text of a Kinesis Data Analytics SQL application by `sql translate`.
//!
//! It reads JSON lines from standard input, takes the arrival from the field that its argument names, and writes the
//! rows of its streams as JSON lines: `cargo run --release -- arrival_timestamp < clicks.jsonl > rows.jsonl`
//!
//! Each expression is a function of a row, below the SQL that it was. NULL is a value; a value that cannot be computed
//! sends its row to the error stream.
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
    let modules = plan.pumps.iter().fold(Names::default(), |mut names, pump| {
        names.add(&pump.name);
        names
    });
    let pumps: Vec<String> = modules.all.iter().map(|module| format!("{module}::pump()")).collect();
    code.push_str("    ];\n");
    line(&format!("let pumps = vec![{}];", pumps.join(", ")), 4, &mut code);
    let Plan { source, order, is_inferred, .. } = plan;
    let all = format!(
        "Plan {{ streams, source: {source}, pumps, order: vec!{order:?}, is_inferred: {is_inferred}, text: String::new() }}"
    );
    line(&all, 4, &mut code);
    code.push_str("}\n");
    for (module, pump) in modules.all.iter().zip(&plan.pumps) {
        pump_of(plan, module, pump, &mut code);
    }
    code
}

fn stream_of(stream: &Stream, code: &mut String) {
    let Stream { name, columns, is_filled, is_read } = stream;
    let _ = writeln!(code, "        // CREATE STREAM \"{}\"", one_line(name));
    let column = |Column { name, ty, fields }: &Column| {
        let fields = if *is_filled { &[][..] } else { &fields[..] };
        format!("column({name:?}, {}, &{fields:?})", type_of(*ty))
    };
    let columns = columns.iter().map(column).collect::<Vec<_>>().join(", ");
    let whole = format!(
        "Stream {{ name: {name:?}.to_owned(), columns: vec![{columns}], is_filled: {is_filled}, is_read: {is_read} }},"
    );
    line(&whole, 8, code);
}

/// Names for Rust, no two of them alike.
#[derive(Default)]
struct Names {
    all: Vec<String>,
}

impl Names {
    /// A name like this piece of SQL: `COUNT("client_event")` becomes `count_client_event`.
    fn add(&mut self, sql: &str) -> &str {
        let words = sql.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let mut name = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
        name.truncate(48);
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            name.insert_str(0, "column_");
        }
        if TAKEN.contains(&name.as_str()) {
            name += "_value";
        }
        let plain = name.clone();
        for number in 2.. {
            if !self.all.contains(&name) {
                break;
            }
            name = format!("{plain}_{number}");
        }
        self.all.push(name);
        &self.all[self.all.len() - 1]
    }
}

/// Words of Rust, and names that the program uses for something else.
const TAKEN: [&str; 94] = [
    "abs",
    "abstract",
    "and",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "calculate",
    "cast",
    "ceil",
    "ceil_to",
    "char_length",
    "coalesce",
    "column",
    "compare",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "exp",
    "extern",
    "extract",
    "false",
    "final",
    "floor",
    "floor_to",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "is",
    "is_in",
    "is_null",
    "is_true",
    "join",
    "later",
    "let",
    "like",
    "ln",
    "log10",
    "loop",
    "lower",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "native",
    "negate",
    "not",
    "nullif",
    "or",
    "override",
    "position",
    "power",
    "priv",
    "pub",
    "pump",
    "ref",
    "return",
    "row",
    "self",
    "sql",
    "sqrt",
    "static",
    "step",
    "step_number",
    "struct",
    "substring",
    "substring_from",
    "super",
    "to_timestamp",
    "trim",
    "true",
    "try",
    "tsdiff",
    "type",
    "typeof",
    "unix_timestamp",
    "unsafe",
    "unsized",
    "upper",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The functions of a pump, as they are written one after another.
struct Functions<'c> {
    code: &'c mut String,
    /// The columns of the rows that they read, as SQL.
    columns: Vec<String>,
    names: Names,
}

impl Functions<'_> {
    /// Writes a function that is named after a piece of SQL, and says its name.
    fn write(&mut self, named: &str, sql: &str, expr: &Expr) -> String {
        let name = self.names.add(named).to_owned();
        let mut columns = Names::default();
        for column in &self.columns {
            columns.add(column);
        }
        let _ = writeln!(self.code, "\n    // {}\n    fn {name}(row: &[Value]) -> Evaluated {{", one_line(sql));
        let mut used = Vec::new();
        columns_in(expr, &mut used);
        for index in used {
            let _ = writeln!(self.code, "        let {} = &row[{index}];", columns.all[index]);
        }
        line(&fallible(expr, &columns.all), 8, self.code);
        self.code.push_str("    }\n");
        name
    }

    /// Functions for several expressions, and the list of them.
    fn list(&mut self, expressions: &[Expr], named: impl Fn(&Expr) -> String) -> String {
        let one = |expr: &Expr| {
            let sql = named(expr);
            format!("native({})", self.write(&sql, &sql, expr))
        };
        expressions.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// The columns that an expression reads, each once.
fn columns_in(expr: &Expr, used: &mut Vec<usize>) {
    if let Expr::Column(index) = expr
        && !used.contains(index)
    {
        used.push(*index);
    }
    expr.parts().into_iter().for_each(|part| columns_in(part, used));
}

fn pump_of(plan: &Plan, module: &str, pump: &Pump, code: &mut String) {
    let (from, into) = (&plan.streams[pump.from], &plan.streams[pump.into]);
    let _ = writeln!(
        code,
        "\n// CREATE PUMP \"{}\" AS INSERT INTO \"{}\" SELECT STREAM … FROM \"{}\"\nmod {module} {{\n    use super::*;",
        one_line(&pump.name),
        one_line(&into.name),
        one_line(&from.name)
    );
    let read = columns_of(from);
    let mut functions = Functions { code, columns: read.clone(), names: Names::default() };
    let filter = pump.filter.as_ref().map(|filter| {
        functions.write("filter", &format!("WHERE {}", pump.sql.filter.as_deref().unwrap_or_default()), filter)
    });
    let argument = |expr: &Expr| match expr {
        Expr::Column(index) => format!("argument {}", read[*index]),
        _ => "argument of an aggregate".to_owned(),
    };
    let work = match &pump.work {
        Work::Rows => "Work::Rows".to_owned(),
        Work::Group(group) => {
            let keys = group.keys.iter().enumerate().map(|(number, key)| {
                let sql = pump.sql.partition.get(number).map_or("", String::as_str);
                let name = functions.write(&format!("key {sql}"), &format!("PARTITION BY {sql}"), &key.expr);
                format!("Typed {{ expr: native({name}), ty: {} }}", type_of(key.ty))
            });
            let keys = keys.collect::<Vec<_>>().join(", ");
            let arguments = functions.list(&group.arguments, argument);
            functions.columns = pump.sql.partition.clone();
            functions.columns.push("ROWTIME".to_owned());
            let called = group.aggregates.iter().map(|aggregate| called(aggregate, &group.arguments, &read));
            functions.columns.extend(called);
            let (window, windows) = windows(group.window);
            format!(
                "Work::Group(Group {{ window: {window}, windows: {windows}, keys: vec![{keys}], \
                 arguments: vec![{arguments}], aggregates: vec![{}] }})",
                aggregates(&group.aggregates)
            )
        }
        Work::Over(overs) => {
            let mut list = Vec::new();
            for over in overs {
                let partition = |expr: &Expr| match expr {
                    Expr::Column(index) => format!("PARTITION BY {}", read[*index]),
                    _ => "PARTITION BY of a window".to_owned(),
                };
                let partition = functions.list(&over.partition, partition);
                let arguments = functions.list(&over.arguments, argument);
                list.push(format!(
                    "Over {{ partition: vec![{partition}], frame: Frame::{:?}, arguments: vec![{arguments}], \
                     aggregates: vec![{}], slots: vec!{:?} }}",
                    over.frame,
                    aggregates(&over.aggregates),
                    over.slots
                ));
            }
            for over in overs {
                let called = over.aggregates.iter().map(|one| called(one, &over.arguments, &read) + " OVER");
                functions.columns.extend(called);
            }
            format!("Work::Over(vec![{}])", list.join(", "))
        }
    };
    let having = pump.having.as_ref().map(|having| {
        functions.write("having", &format!("HAVING {}", pump.sql.having.as_deref().unwrap_or_default()), having)
    });
    let outputs = pump.outputs.iter().zip(&into.columns).enumerate().map(|(number, (output, column))| {
        let sql = pump.sql.columns[number].as_deref().unwrap_or("its column of *, or NULL");
        let name = functions.write(&column.name, &format!("{sql}, for \"{}\"", column.name), output);
        format!("native({name})")
    });
    let outputs = outputs.collect::<Vec<_>>().join(", ");
    let optional = |name: Option<String>| name.map_or("None".to_owned(), |name| format!("Some(native({name}))"));
    code.push_str("\n    pub fn pump() -> Pump {\n");
    let whole = format!(
        "Pump {{ name: {:?}.to_owned(), from: {}, into: {}, filter: {}, work: {work}, having: {}, \
         outputs: vec![{outputs}], sql: Texts::default() }}",
        pump.name,
        pump.from,
        pump.into,
        optional(filter),
        optional(having),
    );
    line(&whole, 8, code);
    code.push_str("    }\n}\n");
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

/// An expression of Rust with this value, or with the failure to compute it.
fn fallible(expr: &Expr, columns: &[String]) -> String {
    let code = rust(expr, columns);
    // What may fail is one call.
    code.strip_suffix('?').map_or_else(|| format!("Ok({code})"), str::to_owned)
}

/// The same, only to be looked at.
fn borrowed(expr: &Expr, columns: &[String]) -> String {
    match expr {
        Expr::Column(index) => columns[*index].clone(),
        other => format!("&{}", rust(other, columns)),
    }
}

/// An expression of Rust with this value, in a function that may fail.
fn rust(expr: &Expr, columns: &[String]) -> String {
    let of = |one: &Expr| rust(one, columns);
    let by = |one: &Expr| borrowed(one, columns);
    let lazy = |all: &[Expr]| {
        let parts: Vec<String> = all.iter().map(|one| format!("&|| {}", fallible(one, columns))).collect();
        format!("&[{}]", parts.join(", "))
    };
    match expr {
        Expr::Column(index) => format!("{}.clone()", columns[*index]),
        Expr::Literal(value) => literal(value),
        Expr::Not(one) => format!("not({})", by(one)),
        Expr::And(all) => format!("and({})?", lazy(all)),
        Expr::Or(any) => format!("or({})?", lazy(any)),
        Expr::Compare(comparison, left, right) => {
            format!("compare({}, Comparison::{comparison:?}, {})", by(left), by(right))
        }
        Expr::IsNull(one) => format!("is_null({})", by(one)),
        Expr::Is(one, target) => format!("is({}, {target})", by(one)),
        Expr::In(one, list) => format!("is_in({}, {})?", by(one), lazy(list)),
        Expr::Like(one, pattern, escape) => format!("like({}, {}, {escape:?})?", by(one), by(pattern)),
        Expr::Arithmetic(operator, numbers, left, right) => {
            format!("calculate({}, Operator::{operator:?}, {}, Numbers::{numbers:?})?", by(left), by(right))
        }
        Expr::Negate(one) => format!("negate({})?", of(one)),
        Expr::Later(time, interval) => format!("later({}, {})?", by(time), by(interval)),
        Expr::Concat(parts) => format!("join({})?", lazy(parts)),
        Expr::Case(whens, otherwise) => {
            let whens = whens.iter().map(|(when, then)| format!("if is_true({}) {{ {} }} else ", by(when), of(then)));
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

// --- Lines ---

const WIDTH: usize = 110;

/// Appends code as a line, or as several if it is long.
fn line(code: &str, indent: usize, to: &mut String) {
    let _ = writeln!(to, "{}{}", " ".repeat(indent), laid_out(code, indent));
}

/// Long code with the parts of its longest pair of brackets on lines of their own.
fn laid_out(code: &str, indent: usize) -> String {
    let pairs = brackets(code);
    let longest = pairs.iter().max_by_key(|(open, close, _)| close - open);
    let block = pairs.iter().find(|(open, ..)| code[*open..].starts_with('{'));
    let is_chain = code.starts_with("if ") || code.starts_with("} else ");
    let Some((open, close, commas)) = if is_chain { block } else { longest }.filter(|_| indent + code.len() > WIDTH)
    else {
        return code.to_owned();
    };
    let mut starts = vec![open + 1];
    starts.extend(commas.iter().map(|comma| comma + 1));
    let ends = commas.iter().copied().chain([*close]);
    let mut text = code[..=*open].to_owned() + "\n";
    for (start, end) in starts.iter().zip(ends) {
        let comma = if commas.is_empty() { "" } else { "," };
        line(&(code[*start..end].trim().to_owned() + comma), indent + 4, &mut text);
    }
    text + &" ".repeat(indent) + &laid_out(&code[*close..], indent)
}

/// The outermost pairs of brackets, with the commas directly within each.
fn brackets(code: &str) -> Vec<(usize, usize, Vec<usize>)> {
    let (mut pairs, mut open, mut commas) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = code.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while bytes.next().is_some_and(|(_, byte)| byte != b'"' && (byte != b'\\' || bytes.next().is_some())) {}
            }
            b'\'' => {
                while bytes.next().is_some_and(|(_, byte)| byte != b'\'' && (byte != b'\\' || bytes.next().is_some())) {
                }
            }
            b'(' | b'[' | b'{' => open.push(at),
            b')' | b']' | b'}' => {
                if let (Some(start), true) = (open.pop(), open.is_empty()) {
                    pairs.push((start, at, std::mem::take(&mut commas)));
                }
            }
            b',' if open.len() == 1 => commas.push(at),
            _ => {}
        }
    }
    pairs
}
