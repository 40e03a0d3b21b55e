//! An application in words: for each pump its clock, window, partition and aggregates, and the
//! differences from the service.

use std::fmt::Write as _;

use crate::aggregate::{Aggregate, Kind};
use crate::expr::{Expr, Operator};
use crate::functions::Function;
use crate::plan::{Column, Frame, Over, Plan, Pump, Window, Work};
use crate::types::Type;

/// Describes a plan.
pub fn explain(plan: &Plan) -> String {
    let mut said = String::new();
    source(plan, &mut said);
    for pump in &plan.pumps {
        let _ = writeln!(said, "\npump \"{}\"", pump.name);
        let names = |index: usize| &plan.streams[index].name;
        line(&mut said, "reads", &format!("\"{}\"", names(pump.from)));
        query(plan, pump, &mut said);
        line(&mut said, "fills", &format!("\"{}\"", names(pump.into)));
    }
    differences(plan, &mut said);
    said
}

fn line(said: &mut String, what: &str, text: &str) {
    let _ = writeln!(said, "  {what:<11}{text}");
}

fn source(plan: &Plan, said: &mut String) {
    let stream = &plan.streams[plan.source];
    let _ = writeln!(said, "source \"{}\"", stream.name);
    for column in &stream.columns {
        let fields = column.fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(" or ");
        line(said, "column", &format!("\"{}\" {}, from the field {fields}", column.name, column.ty));
    }
    if plan.is_inferred {
        line(said, "note", "its types are taken from what the text does with the columns; --schema tells others");
    }
}

fn query(plan: &Plan, pump: &Pump, said: &mut String) {
    let columns = &plan.streams[pump.from].columns;
    if let Some(filter) = &pump.sql.filter {
        line(said, "where", filter);
    }
    match &pump.work {
        Work::Rows => line(said, "window", "none: a row for each row, at once"),
        Work::Group(group) => {
            line(said, "clock", "ROWTIME, when a record arrived");
            line(said, "window", &window(group.window));
            pump.sql.partition.iter().for_each(|part| line(said, "partition", part));
            aggregates(&group.aggregates, &group.arguments, columns, said);
        }
        Work::Over(overs) => {
            line(said, "clock", "ROWTIME, when a record arrived");
            overs.iter().for_each(|over| sliding(over, columns, said));
        }
    }
    if let Some(having) = &pump.sql.having {
        line(said, "having", having);
    }
    for (column, text) in plan.streams[pump.into].columns.iter().zip(&pump.sql.columns) {
        if let Some(text) = text {
            line(said, "column", &format!("\"{}\" {} = {text}", column.name, column.ty));
        }
    }
}

fn window(window: Window) -> String {
    match window {
        Window::Stagger(range) => {
            format!("stagger: opens when the first row of its partition arrives, closes {} later", length(range))
        }
        Window::Step(step) => format!("tumbling: each {} of ROWTIME, closes at its end", length(step)),
        Window::Floor(unit) => format!("tumbling: each {} of ROWTIME, in UTC, closes at its end", unit.name()),
    }
}

fn sliding(over: &Over, columns: &[Column], said: &mut String) {
    let rows = match over.frame {
        Frame::Range(range) => format!("those less than {} old", length(range)),
        Frame::Rows(before) => format!("the row and {before} before it"),
    };
    let partition = if over.partition.is_empty() { "all rows" } else { "rows of its partition" };
    line(said, "window", &format!("sliding: a row for each row, over {partition}: {rows}"));
    aggregates(&over.aggregates, &over.arguments, columns, said);
}

/// Milliseconds in the largest unit that divides them.
pub fn length(millis: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let (count, unit) = UNITS
        .into_iter()
        .find(|(unit, _)| millis % unit == 0)
        .map_or((millis, "millisecond"), |(length, unit)| (millis / length, unit));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn aggregates(aggregates: &[Aggregate], arguments: &[Expr], columns: &[Column], said: &mut String) {
    for aggregate in aggregates {
        let of = match aggregate.argument.map(|argument| &arguments[argument]) {
            None => "all rows".to_owned(),
            Some(Expr::Column(index)) => {
                columns.get(*index).map_or("ROWTIME".to_owned(), |column| format!("\"{}\"", column.name))
            }
            Some(_) => "an expression".to_owned(),
        };
        let distinct = if aggregate.is_distinct { ", each value once" } else { "" };
        line(said, "aggregate", &format!("{} of {of}{distinct}: {}", name(aggregate.kind), aggregate.ty));
    }
}

pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Count => "COUNT",
        Kind::Sum => "SUM",
        Kind::Average => "AVG",
        Kind::Min => "MIN",
        Kind::Max => "MAX",
        Kind::First => "FIRST_VALUE",
        Kind::Last => "LAST_VALUE",
        Kind::Variance { of_sample: true, root: true } => "STDDEV_SAMP",
        Kind::Variance { of_sample: true, root: false } => "VAR_SAMP",
        Kind::Variance { of_sample: false, root: true } => "STDDEV_POP",
        Kind::Variance { of_sample: false, root: false } => "VAR_POP",
    }
}

/// What differs for every application, then what differs for what this one uses.
fn differences(plan: &Plan, said: &mut String) {
    said.push_str("\nwhat differs from the service, and why\n");
    let mut say = |difference: &str| _ = writeln!(said, "  - {difference}");
    say("ROWTIME is when a record arrived, not when the application read it: a backlog gives the rows that reading \
         at once would have given, and every run gives the same rows.");
    let expressions: Vec<&Expr> = plan.pumps.iter().flat_map(expressions).collect();
    let has = |is: &dyn Fn(&Expr) -> bool| expressions.iter().any(|expr| any(expr, is));
    let works = || plan.pumps.iter().map(|pump| &pump.work);
    let groups = || works().filter_map(|work| if let Work::Group(group) = work { Some(group) } else { None });
    let overs = || works().filter_map(|work| if let Work::Over(overs) = work { Some(overs) } else { None }).flatten();
    if groups().any(|group| matches!(group.window, Window::Stagger(_))) {
        say("A record exactly as old as its stagger window is long opens the next window: AWS says nothing of it.");
    }
    if overs().any(|over| matches!(over.frame, Frame::Range(_))) {
        say("A row exactly as old as the sliding window is long has left it, as AWS's figures show; of several rows \
             with one ROWTIME each sees those before it.");
    }
    if overs().any(|over| matches!(over.frame, Frame::Rows(_))) {
        say(
            "ROWS n PRECEDING has n rows and the current one, as in standard SQL; an example of AWS calls it the last n.",
        );
    }
    let all = || groups().flat_map(|group| &group.aggregates).chain(overs().flat_map(|over| &over.aggregates));
    if all().any(|aggregate| aggregate.kind == Kind::Average && aggregate.ty == Type::BigInt) {
        say("AVG of whole numbers is a whole number, cut off: write AVG(CAST(… AS DOUBLE)) for a fraction.");
    }
    if has(&|expr| matches!(expr, Expr::Call(Function::Tsdiff, _))) {
        say(
            "TSDIFF is the first argument less the second, as AWS's article uses it; its reference names them startTime \
             and endTime.",
        );
    }
    if has(&|expr| matches!(expr, Expr::Call(Function::Substring, _))) {
        say("SUBSTRING past the end is an empty text: AWS's page says both that and NULL.");
    }
    if has(&|expr| matches!(expr, Expr::Call(Function::Step(_), _))) {
        say(
            "STEP counts from 1970 and goes down before it, by the formula of AWS's page; one line of its table differs.",
        );
    }
    if has(&|expr| matches!(expr, Expr::Cast(_, Type::Varchar(Some(_)) | Type::Char(_)))) {
        say("A text that is longer than its VARCHAR sends the row to the error stream: AWS shows that no row comes.");
    }
    if has(&|expr| matches!(expr, Expr::Arithmetic(Operator::Divide | Operator::Modulo, _, _, by) if !is_literal(by))) {
        say("A division by zero sends the row to the error stream, for DOUBLE too.");
    }
    if plan.pumps.len() > 1 {
        say("Rows that several pumps insert at one time come in the order of the pumps in the text.");
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(_))
}

/// All expressions of a pump.
fn expressions(pump: &Pump) -> Vec<&Expr> {
    let mut all: Vec<&Expr> = pump.outputs.iter().chain(&pump.filter).chain(&pump.having).collect();
    match &pump.work {
        Work::Rows => {}
        Work::Group(group) => all.extend(group.keys.iter().map(|key| &key.expr).chain(&group.arguments)),
        Work::Over(overs) => overs.iter().for_each(|over| all.extend(over.partition.iter().chain(&over.arguments))),
    }
    all
}

/// Whether an expression or a part of it is one that is looked for.
fn any(expr: &Expr, is: &dyn Fn(&Expr) -> bool) -> bool {
    is(expr) || expr.parts().into_iter().any(|part| any(part, is))
}
