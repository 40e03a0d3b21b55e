//! From the text to the plan: names become column numbers, and everything gets a type.

use sqlparser::ast::{Expr as Tree, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType};
use stagger::Unit;

use crate::aggregate::{Aggregate, Kind};
use crate::compile::{Call, Scope, call_of, compile, condition, converted, interval_of};
use crate::expr::Expr;
use crate::functions::Function;
use crate::infer::{ARRIVAL, Columns, Found, ROWTIME, spellings};
use crate::parse::{self, Application, Grouping, Item, Name, Part, Select, place_of};
use crate::text::{Checked, Mistake, Place, between};
use crate::types::{Type, Value};

pub use crate::model::{Column, Frame, Group, Over, Plan, Pump, Stream, Texts, Typed, Window, Work};

/// Makes the plan of a text. `schema`: the columns of the source, as CREATE STREAM has them.
pub fn plan(text: &str, schema: Option<&[parse::Column]>) -> Checked<Plan> {
    let planned = || {
        let planner = Planner { text, application: parse::parse(text)?, streams: Vec::new() };
        planner.plan(schema)
    };
    // A tree may have as many levels as a statement has words; the plan that comes of it has few.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("plan".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, planned).expect("the system starts a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Enough for a tree with a level for each word of a statement.
const STACK: usize = 128 << 20;

struct Planner<'t> {
    text: &'t str,
    application: Application,
    streams: Vec<Stream>,
}

impl Planner<'_> {
    fn plan(mut self, schema: Option<&[parse::Column]>) -> Checked<Plan> {
        self.created()?;
        let (source, is_inferred) = self.source(schema)?;
        let application = std::mem::take(&mut self.application);
        let mut pumps: Vec<Pump> = Vec::new();
        for pump in &application.pumps {
            if pumps.iter().any(|other| other.name == pump.name.text) {
                return Err(Mistake::new(pump.name.place, format!("a second pump \"{}\"", pump.name.text), RENAME));
            }
            pumps.push(self.pump(pump, source)?);
        }
        let order = self.ordered(&application, &pumps)?;
        Ok(Plan { streams: self.streams, source, pumps, order, is_inferred, text: self.text.to_owned() })
    }

    /// The streams that the text creates.
    fn created(&mut self) -> Checked<()> {
        for stream in std::mem::take(&mut self.application.streams) {
            let name = &stream.name;
            let columns = columns(&stream.columns)?;
            let new = Stream { name: name.text.clone(), columns, is_filled: false, is_read: false };
            // CREATE OR REPLACE: the later one counts.
            match self.streams.iter_mut().find(|known| known.name == new.name) {
                Some(known) => *known = new,
                None => self.streams.push(new),
            }
        }
        for pump in &self.application.pumps {
            let Some(index) = self.find(&pump.into) else { return Err(self.no_stream(&pump.into)) };
            self.streams[index].is_filled = true;
        }
        Ok(())
    }

    fn find(&self, name: &Name) -> Option<usize> {
        self.streams.iter().position(|stream| stream.name == name.text)
    }

    fn no_stream(&self, name: &Name) -> Mistake {
        let similar = self.streams.iter().find(|stream| stream.name.eq_ignore_ascii_case(&name.text));
        let instead = match similar {
            Some(similar) => format!("Write \"{}\": a name without quotes is one in upper case.", similar.name),
            None => format!("Write CREATE OR REPLACE STREAM \"{}\" (…) with its columns.", name.text),
        };
        Mistake::new(name.place, format!("there is no stream \"{}\" to insert into", name.text), instead)
    }

    /// The one stream that is read and that no pump fills.
    fn source(&mut self, schema: Option<&[parse::Column]>) -> Checked<(usize, bool)> {
        let application = std::mem::take(&mut self.application);
        let mut source: Option<&Name> = None;
        for pump in &application.pumps {
            let from = &pump.select.from;
            let found = self.find(from);
            if found.is_some_and(|found| self.streams[found].is_filled) {
                continue;
            }
            match source {
                Some(source) if source.text != from.text => {
                    let what = format!("a second source, \"{}\" beside \"{}\"", from.text, source.text);
                    let instead = "An application reads one stream. Fill the other one by a pump, or write two texts.";
                    return Err(Mistake::new(from.place, what, instead));
                }
                _ => source = Some(from),
            }
        }
        let Some(name) = source else {
            let place = application.pumps[0].select.from.place;
            let what = "no pump reads a stream that comes from outside: each is filled by another pump";
            return Err(Mistake::new(place, what, "Read SOURCE_SQL_STREAM_001 in one of them."));
        };
        let found = self.find(name);
        let is_inferred = schema.is_none() && found.is_none();
        let columns = match (schema, found) {
            (Some(schema), _) => columns(schema)?,
            (None, Some(found)) => std::mem::take(&mut self.streams[found].columns),
            (None, None) => self.inferred(&application, name),
        };
        let stream = Stream { name: name.text.clone(), columns, is_filled: false, is_read: true };
        let index = match found {
            Some(found) => {
                self.streams[found] = stream;
                found
            }
            None => {
                self.streams.push(stream);
                self.streams.len() - 1
            }
        };
        self.application = application;
        Ok((index, is_inferred))
    }

    fn inferred(&self, application: &Application, source: &Name) -> Vec<Column> {
        let mut columns = Columns::default();
        for pump in application.pumps.iter().filter(|pump| pump.select.from.text == source.text) {
            let into = self.find(&pump.into).map_or(&[][..], |into| &self.streams[into].columns);
            let fills: Vec<Type> = match &pump.columns {
                None => into.iter().map(|column| column.ty).collect(),
                Some(names) => names
                    .iter()
                    .filter_map(|name| into.iter().find(|column| column.name == name.text))
                    .map(|column| column.ty)
                    .collect(),
            };
            columns.note_pump(pump, &fills);
        }
        columns.found.into_iter().map(|Found { name, fields, ty, .. }| Column { name, ty, fields }).collect()
    }

    fn pump(&mut self, pump: &parse::Pump, source: usize) -> Checked<Pump> {
        let select = &pump.select;
        let Some(from) = self.find(&select.from) else { return Err(self.no_stream(&select.from)) };
        let Some(into) = self.find(&pump.into) else { return Err(self.no_stream(&pump.into)) };
        self.streams[from].is_read = true;
        let stream = &self.streams[from];
        let names = Names { stream, alias: select.alias.as_ref().unwrap_or(&select.from), is_source: from == source };
        let mut query = Query::new(names, select)?;
        let (outputs, columns) = self.outputs(pump, into, &mut query)?;
        let having = match &select.having {
            Some(part) if matches!(query.kind, QueryKind::Group(_)) => Some(query.condition(part)?),
            Some(part) => {
                return Err(Mistake::new(part.place, "HAVING without GROUP BY or WINDOWED BY", "Use WHERE."));
            }
            None => None,
        };
        let filter =
            select.filter.as_ref().map(|part| condition(&part.expr, part.place, &mut query.names)).transpose()?;
        let work = query.work(select)?;
        let sql = Texts { columns, ..self.texts(select) };
        Ok(Pump { name: pump.name.text.clone(), from, into, filter, work, having, outputs, sql })
    }

    fn texts(&self, select: &Select) -> Texts {
        let text = |part: &Part| one_line(between(self.text, part.place, part.end));
        let partition = match &select.grouping {
            Some(Grouping::Stagger { partition: parts, .. } | Grouping::GroupBy { by: parts, .. }) => {
                parts.iter().map(text).collect()
            }
            None => Vec::new(),
        };
        let (filter, having) = (select.filter.as_ref().map(text), select.having.as_ref().map(text));
        Texts { filter, partition, having, columns: Vec::new() }
    }

    /// The expressions for the columns of the stream that a pump fills, and their texts.
    fn outputs(
        &self,
        pump: &parse::Pump,
        into: usize,
        query: &mut Query<'_>,
    ) -> Checked<(Vec<Expr>, Vec<Option<String>>)> {
        let stream = &self.streams[into];
        let items = query.items(&pump.select, stream)?;
        let targets: Vec<usize> = match &pump.columns {
            None => (0..stream.columns.len()).collect(),
            Some(names) => names.iter().map(|name| target(stream, name)).collect::<Checked<_>>()?,
        };
        if items.len() != targets.len() {
            let what = format!("{} values for the {} columns of \"{}\"", items.len(), targets.len(), stream.name);
            let place = items.get(targets.len()).map_or(pump.select.place, |item| item.place);
            let instead = format!("The columns are, in this order: {}.", stream.column_names());
            return Err(Mistake::new(place, what, instead));
        }
        let mut outputs = vec![Expr::Literal(Value::Null); stream.columns.len()];
        let mut texts = vec![None; stream.columns.len()];
        for (SelectItem { typed, place, end }, target) in items.into_iter().zip(targets) {
            let column = &stream.columns[target];
            if !typed.ty.can_fill(column.ty) {
                let what =
                    format!("{} does not go into the column \"{}\", which is {}", typed.ty, column.name, column.ty);
                let instead = format!("Write CAST(… AS {}), or check the order of the columns.", column.ty);
                return Err(Mistake::new(place, what, instead));
            }
            texts[target] = end.map(|end| one_line(between(self.text, place, end)));
            outputs[target] = converted(typed, column.ty);
        }
        Ok((outputs, texts))
    }

    /// The pumps in an order in which each comes behind those that it reads from.
    fn ordered(&self, application: &Application, pumps: &[Pump]) -> Checked<Vec<usize>> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < pumps.len() {
            let is_open = |index: &usize| !order.contains(index);
            let waits =
                |index: &usize| (0..pumps.len()).filter(is_open).any(|other| pumps[other].into == pumps[*index].from);
            match (0..pumps.len()).filter(is_open).find(|index| !waits(index)) {
                Some(next) => order.push(next),
                None => {
                    let first = (0..pumps.len()).find(is_open).unwrap_or_default();
                    let what = format!("the pump \"{}\" reads what comes of its own rows", pumps[first].name);
                    return Err(Mistake::new(application.pumps[first].name.place, what, "Break the circle of pumps."));
                }
            }
        }
        Ok(order)
    }
}

/// A part of the text without comments and line ends.
fn one_line(text: &str) -> String {
    let without_comments = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    without_comments.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

const RENAME: &str = "Give each pump a name of its own.";

/// Columns as they are declared.
fn columns(declared: &[parse::Column]) -> Checked<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for column in declared {
        let name = &column.name;
        if columns.iter().any(|known| known.name == name.text) {
            return Err(Mistake::new(name.place, format!("a second column \"{}\"", name.text), "Rename one of them."));
        }
        let instead = "Types are BOOLEAN, SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), REAL, DOUBLE, CHAR(n), VARCHAR(n), \
                       DATE, TIME and TIMESTAMP.";
        let ty = Type::of(&column.data_type).map_err(|what| Mistake::new(name.place, what, instead))?;
        columns.push(Column { name: name.text.clone(), ty, fields: spellings(name, &name.text) });
    }
    Ok(columns)
}

fn target(stream: &Stream, name: &Name) -> Checked<usize> {
    let found = stream.columns.iter().position(|column| column.name == name.text);
    found.ok_or_else(|| no_column(stream, name))
}

fn no_column(stream: &Stream, name: &Name) -> Mistake {
    let what = format!("there is no column \"{}\" in \"{}\"", name.text, stream.name);
    let similar = stream.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name.text));
    let instead = match similar {
        Some(similar) => format!("Write \"{}\": a name without quotes is one in upper case.", similar.name),
        None if stream.columns.is_empty() => "Tell the columns of the source with --schema.".to_owned(),
        None => format!("It has {}, and ROWTIME.", stream.column_names()),
    };
    Mistake::new(name.place, what, instead)
}

// --- Names in a query ---

/// The columns of the stream that a query reads.
#[derive(Clone, Copy)]
struct Names<'p> {
    stream: &'p Stream,
    /// The name that may stand before a column.
    alias: &'p Name,
    is_source: bool,
}

impl Scope for Names<'_> {
    fn column(&mut self, stream: Option<&Name>, name: &Name) -> Checked<Typed> {
        if let Some(stream) = stream
            && stream.text != self.alias.text
        {
            let instead = format!("This query reads \"{}\".", self.alias.text);
            return Err(Mistake::new(stream.place, format!("there is no stream \"{}\" here", stream.text), instead));
        }
        let columns = &self.stream.columns;
        if let Some(index) = columns.iter().position(|column| column.name == name.text) {
            return Ok(Typed { expr: Expr::Column(index), ty: columns[index].ty });
        }
        match name.text.as_str() {
            ROWTIME | "CURRENT_ROW_TIMESTAMP" | "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP" => {
                Ok(Typed { expr: Expr::Column(columns.len()), ty: Type::Timestamp })
            }
            ARRIVAL if self.is_source => Ok(Typed { expr: Expr::Column(columns.len() + 1), ty: Type::Timestamp }),
            _ => Err(no_column(self.stream, name)),
        }
    }

    fn whole(&mut self, tree: &Tree, place: Place) -> Option<Checked<Typed>> {
        let call = call_of(tree)?;
        let place = place_of(tree, place);
        kind_of(&call.name).map(|_| {
            let (what, instead) = match call.over {
                Some(_) => (
                    "an aggregate with OVER does not stand here",
                    "It stands in the SELECT of a query without GROUP BY.",
                ),
                None => (
                    "an aggregate has no window here",
                    "Aggregates stand in SELECT and HAVING, not in WHERE or within each other, of a query with \
                     WINDOWED BY STAGGER (…), GROUP BY … STEP(ROWTIME BY INTERVAL '60' SECOND), or OVER a WINDOW.",
                ),
            };
            Err(Mistake::new(place, what, instead))
        })
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "COUNT" => Kind::Count,
        "SUM" => Kind::Sum,
        "AVG" => Kind::Average,
        "MIN" => Kind::Min,
        "MAX" => Kind::Max,
        "FIRST_VALUE" => Kind::First,
        "LAST_VALUE" => Kind::Last,
        "STDDEV_POP" => Kind::Variance { of_sample: false, root: true },
        "STDDEV" | "STDDEV_SAMP" => Kind::Variance { of_sample: true, root: true },
        "VAR_POP" => Kind::Variance { of_sample: false, root: false },
        "VAR_SAMP" | "VARIANCE" | "VAR" => Kind::Variance { of_sample: true, root: false },
        _ => return None,
    })
}

/// Aggregates of one window, each once.
#[derive(Default)]
struct Gathered {
    arguments: Vec<Expr>,
    aggregates: Vec<Aggregate>,
}

impl Gathered {
    /// The number of an aggregate, and its type.
    fn add(&mut self, kind: Kind, call: &Call<'_>, place: Place, names: &mut Names<'_>) -> Checked<(usize, Type)> {
        let argument = match &call.arguments[..] {
            [] if call.is_all && kind == Kind::Count => None,
            [one] if !call.is_all => Some(compile(one, place, names)?),
            _ => return Err(Mistake::new(place, format!("{} takes one argument", call.name), "")),
        };
        let ty = argument.as_ref().map_or(Type::BigInt, |argument| argument.ty);
        let is_number = matches!(kind, Kind::Sum | Kind::Average | Kind::Variance { .. });
        if is_number && !ty.is_number() {
            let instead = "Convert it with CAST(… AS DOUBLE), or tell the type of the source's column with --schema.";
            return Err(Mistake::new(place, format!("{} takes numbers, and this is {ty}", call.name), instead));
        }
        let argument = argument.map(|argument| {
            self.arguments.iter().position(|known| *known == argument.expr).unwrap_or_else(|| {
                self.arguments.push(argument.expr);
                self.arguments.len() - 1
            })
        });
        let aggregate = Aggregate {
            kind,
            argument,
            is_distinct: call.is_distinct && !matches!(kind, Kind::Min | Kind::Max | Kind::First | Kind::Last),
            ignores_nulls: call.is_ignoring_nulls,
            ty: kind.type_for(ty),
        };
        let index = self.aggregates.iter().position(|known| *known == aggregate).unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        });
        Ok((index, aggregate.ty))
    }
}

// --- Queries ---

/// A query that is being compiled. Its aggregates are gathered as they are met.
struct Query<'p> {
    names: Names<'p>,
    kind: QueryKind<'p>,
}

/// An item of SELECT. Where it ends is known if it is written out.
struct SelectItem {
    typed: Typed,
    place: Place,
    end: Option<Place>,
}

enum QueryKind<'p> {
    Plain(PlainQuery<'p>),
    Group(GroupQuery),
}

struct PlainQuery<'p> {
    windows: &'p [(Name, WindowSpec)],
    over: Vec<(OverKey, Gathered, Vec<usize>)>,
    /// Aggregates of all windows.
    count: usize,
}

struct GroupQuery {
    window: Window,
    keys: Vec<Typed>,
    gathered: Gathered,
}

#[derive(Clone, PartialEq)]
struct OverKey {
    partition: Vec<Expr>,
    frame: Frame,
}

impl<'p> Query<'p> {
    fn new(mut names: Names<'p>, select: &'p Select) -> Checked<Self> {
        let group = |window, keys| QueryKind::Group(GroupQuery { window, keys, gathered: Gathered::default() });
        let kind = match &select.grouping {
            None => QueryKind::Plain(PlainQuery { windows: &select.windows, over: Vec::new(), count: 0 }),
            Some(Grouping::Stagger { partition, range, .. }) => {
                let keys = keys(partition, &mut names)?;
                group(Window::Stagger(range_of(range)?), keys)
            }
            Some(Grouping::GroupBy { by, place }) => {
                let keys = keys(by, &mut names)?;
                group(tumbling(&keys, names.stream.rowtime(), *place)?, keys)
            }
        };
        Ok(Self { names, kind })
    }

    /// The items of SELECT, without one for ROWTIME that has no column to fill.
    fn items(&mut self, select: &Select, into: &Stream) -> Checked<Vec<SelectItem>> {
        let mut items = Vec::new();
        for item in &select.items {
            match item {
                Item::All(place) => self.all_columns(*place, &mut items)?,
                Item::One(part, alias) => {
                    if is_rowtime(part, alias.as_ref())
                        && !into.columns.iter().any(|column| column.name == ROWTIME)
                        && select.items.len() > into.columns.len()
                    {
                        self.own_rowtime(part)?;
                        continue;
                    }
                    let typed = compile(&part.expr, part.place, self)?;
                    items.push(SelectItem { typed, place: part.place, end: Some(part.end) });
                }
            }
        }
        Ok(items)
    }

    fn all_columns(&mut self, place: Place, items: &mut Vec<SelectItem>) -> Checked<()> {
        if matches!(self.kind, QueryKind::Group(_)) {
            return Err(Mistake::new(place, "* in a query with groups", "Name the columns of the groups."));
        }
        let columns = &self.names.stream.columns;
        if columns.is_empty() {
            return Err(Mistake::new(place, "the columns of the source are not known", "Tell them with --schema."));
        }
        let column = |(index, column): (usize, &Column)| {
            let typed = Typed { expr: Expr::Column(index), ty: column.ty };
            SelectItem { typed, place, end: None }
        };
        items.extend(columns.iter().enumerate().map(column));
        Ok(())
    }

    /// A row has its ROWTIME anyway; another one than its own is refused.
    fn own_rowtime(&mut self, part: &Part) -> Checked<()> {
        match (compile(&part.expr, part.place, self)?.expr, &self.kind) {
            (Expr::Column(index), QueryKind::Group(group)) if index == group.keys.len() => Ok(()),
            (Expr::Column(index), QueryKind::Plain(_)) if index == self.names.stream.rowtime() => Ok(()),
            _ => {
                let instead = "Give the stream a column for this time, with a name of its own.";
                Err(Mistake::new(part.place, "another ROWTIME than the row's own is not supported", instead))
            }
        }
    }

    fn condition(&mut self, part: &Part) -> Checked<Expr> {
        condition(&part.expr, part.place, self)
    }

    fn work(self, select: &Select) -> Checked<Work> {
        Ok(match self.kind {
            QueryKind::Group(GroupQuery { window, keys, gathered }) => {
                let Gathered { arguments, aggregates } = gathered;
                Work::Group(Group { window, windows: window.stagger(), keys, arguments, aggregates })
            }
            QueryKind::Plain(PlainQuery { over, .. }) if over.is_empty() => {
                if let Some((name, _)) = select.windows.first() {
                    return Err(Mistake::new(name.place, "no aggregate uses this window", "Write OVER and its name."));
                }
                Work::Rows
            }
            QueryKind::Plain(PlainQuery { over, .. }) => Work::Over(
                over.into_iter()
                    .map(|(key, gathered, slots)| Over {
                        partition: key.partition,
                        frame: key.frame,
                        arguments: gathered.arguments,
                        aggregates: gathered.aggregates,
                        slots,
                    })
                    .collect(),
            ),
        })
    }

    fn over(&mut self, kind: Kind, call: &Call<'_>, window: &WindowType, place: Place) -> Checked<Typed> {
        let QueryKind::Plain(PlainQuery { windows, over, count }) = &mut self.kind else {
            let what = "OVER in a query with groups";
            return Err(Mistake::new(
                place,
                what,
                "Let one pump make the groups, and another one read them with OVER.",
            ));
        };
        let (spec, defined) = match window {
            WindowType::WindowSpec(spec) => (spec, place),
            WindowType::NamedWindow(ident) => {
                let name = Name::of(ident);
                match windows.iter().find(|(known, _)| known.text == name.text) {
                    Some((known, spec)) => (spec, known.place),
                    None => {
                        let instead = format!(
                            "Write WINDOW {} AS (PARTITION BY … RANGE INTERVAL '1' MINUTE PRECEDING).",
                            name.text
                        );
                        return Err(Mistake::new(name.place, format!("there is no window \"{}\"", name.text), instead));
                    }
                }
            }
        };
        let key = over_key(spec, defined, &mut self.names)?;
        let window = over.iter().position(|(known, ..)| *known == key).unwrap_or_else(|| {
            over.push((key, Gathered::default(), Vec::new()));
            over.len() - 1
        });
        let (_, gathered, slots) = &mut over[window];
        let (index, ty) = gathered.add(kind, call, place, &mut self.names)?;
        if index == slots.len() {
            slots.push(self.names.stream.width() + *count);
            *count += 1;
        }
        Ok(Typed { expr: Expr::Column(slots[index]), ty })
    }

    fn grouped(&mut self, kind: Kind, call: &Call<'_>, place: Place) -> Option<Checked<Typed>> {
        let QueryKind::Group(group) = &mut self.kind else { return None };
        let added = group.gathered.add(kind, call, place, &mut self.names);
        let before = group.keys.len() + 1;
        Some(added.map(|(index, ty)| Typed { expr: Expr::Column(before + index), ty }))
    }

    /// The key that a tree is, in a query with groups.
    fn key(&mut self, tree: &Tree, place: Place) -> Option<Typed> {
        let QueryKind::Group(group) = &self.kind else { return None };
        let mut names = self.names;
        let typed = compile(tree, place, &mut names).ok()?;
        let index = group.keys.iter().position(|key| *key == typed)?;
        Some(Typed { expr: Expr::Column(index), ty: typed.ty })
    }
}

impl Scope for Query<'_> {
    fn column(&mut self, stream: Option<&Name>, name: &Name) -> Checked<Typed> {
        let typed = self.names.column(stream, name)?;
        let QueryKind::Group(group) = &self.kind else { return Ok(typed) };
        if stream.is_none() && typed.expr == Expr::Column(self.names.stream.rowtime()) {
            return Ok(Typed { expr: Expr::Column(group.keys.len()), ty: Type::Timestamp });
        }
        let what = format!("\"{}\" is neither grouped by nor within an aggregate", name.text);
        let instead = "Put it into GROUP BY or PARTITION BY, or take FIRST_VALUE or MAX of it.";
        Err(Mistake::new(name.place, what, instead))
    }

    fn whole(&mut self, tree: &Tree, place: Place) -> Option<Checked<Typed>> {
        if let Some(key) = self.key(tree, place) {
            return Some(Ok(key));
        }
        let call = call_of(tree)?;
        let kind = kind_of(&call.name)?;
        let place = place_of(tree, place);
        match call.over {
            Some(window) => Some(self.over(kind, &call, window, place)),
            None => match self.grouped(kind, &call, place) {
                Some(typed) => Some(typed),
                None => self.names.whole(tree, place),
            },
        }
    }
}

fn keys(parts: &[Part], names: &mut Names<'_>) -> Checked<Vec<Typed>> {
    parts.iter().map(|part| compile(&part.expr, part.place, names)).collect()
}

fn range_of(part: &Part) -> Checked<i64> {
    let Tree::Interval(interval) = &*part.expr else {
        let instead = "Write RANGE INTERVAL '1' MINUTE.";
        return Err(Mistake::new(part.place, "RANGE takes an INTERVAL", instead));
    };
    positive(interval_of(interval, part.place)?, part.place)
}

fn positive(length: i64, place: Place) -> Checked<i64> {
    if length > 0 {
        Ok(length)
    } else {
        Err(Mistake::new(place, "the window has no length", "Make it longer than zero."))
    }
}

/// The window of GROUP BY: that of the shortest STEP or FLOOR of ROWTIME.
fn tumbling(keys: &[Typed], rowtime: usize, place: Place) -> Checked<Window> {
    let windows = keys.iter().filter_map(|key| match &key.expr {
        Expr::Call(Function::Step(length), of) if of[..] == [Expr::Column(rowtime)] => Some(Window::Step(*length)),
        Expr::Call(Function::Floor(unit), of) if of[..] == [Expr::Column(rowtime)] => Some(Window::Floor(*unit)),
        _ => None,
    });
    let instead = "Add STEP(ROWTIME BY INTERVAL '60' SECOND), or FLOOR(ROWTIME TO MINUTE). For windows that open with \
                   their first row, write WINDOWED BY STAGGER instead of GROUP BY.";
    windows
        .min_by_key(|window| window.length())
        .ok_or_else(|| Mistake::new(place, "GROUP BY without a step of ROWTIME would never end a group", instead))
}

impl Window {
    /// Roughly, in milliseconds.
    fn length(self) -> i64 {
        const DAY: i64 = crate::types::DAY;
        match self {
            Self::Stagger(length) | Self::Step(length) => length,
            Self::Floor(Unit::Second) => 1_000,
            Self::Floor(Unit::Minute) => 60_000,
            Self::Floor(Unit::Hour) => 3_600_000,
            Self::Floor(Unit::Day) => DAY,
            Self::Floor(Unit::Week) => 7 * DAY,
            Self::Floor(Unit::Month) => 30 * DAY,
            Self::Floor(Unit::Quarter) => 91 * DAY,
            Self::Floor(_) => 365 * DAY,
        }
    }
}

fn is_rowtime(part: &Part, alias: Option<&Name>) -> bool {
    let name = match (&*part.expr, alias) {
        (_, Some(alias)) => alias.text.clone(),
        (Tree::Identifier(ident), None) => Name::of(ident).text,
        (Tree::CompoundIdentifier(idents), None) => {
            idents.last().map(Name::of).map_or_else(String::new, |name| name.text)
        }
        _ => return false,
    };
    name == ROWTIME
}

fn over_key(spec: &WindowSpec, place: Place, names: &mut Names<'_>) -> Checked<OverKey> {
    let instead = "Write (PARTITION BY … RANGE INTERVAL '1' MINUTE PRECEDING), or ROWS 10 PRECEDING.";
    let refuse = |what: &str| Err(Mistake::new(place, what, instead));
    if spec.window_name.is_some() {
        return refuse("a window that is built on another is not supported");
    }
    if !spec.order_by.is_empty() {
        return refuse("ORDER BY in a window is not supported: rows come in the order of ROWTIME");
    }
    let partition =
        spec.partition_by.iter().map(|tree| Ok(compile(tree, place, names)?.expr)).collect::<Checked<_>>()?;
    let Some(WindowFrame { units, start_bound, end_bound }) = &spec.window_frame else {
        return refuse("the window has no RANGE or ROWS");
    };
    if !matches!(end_bound, None | Some(WindowFrameBound::CurrentRow)) {
        return refuse("a window that ends elsewhere than at the current row is not supported");
    }
    let frame = match (units, start_bound) {
        (WindowFrameUnits::Range, WindowFrameBound::Preceding(Some(length))) => match &**length {
            Tree::Interval(interval) => Frame::Range(positive(interval_of(interval, place)?, place)?),
            _ => return refuse("RANGE takes an INTERVAL"),
        },
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(Some(count))) => match rows_of(count) {
            Some(count) => Frame::Rows(count),
            None => return refuse("ROWS takes a number"),
        },
        (WindowFrameUnits::Rows, WindowFrameBound::CurrentRow) => Frame::Rows(0),
        (WindowFrameUnits::Range, WindowFrameBound::CurrentRow) => {
            return refuse("RANGE CURRENT ROW, all rows of one time, is not supported");
        }
        _ => return refuse("a window without a beginning would grow for ever"),
    };
    Ok(OverKey { partition, frame })
}

fn rows_of(count: &Tree) -> Option<usize> {
    const MOST_ROWS: usize = 1_000_000;
    let Tree::Value(value) = count else { return None };
    let sqlparser::ast::Value::Number(number, _) = &value.value else { return None };
    number.parse().ok().filter(|count| *count <= MOST_ROWS)
}
