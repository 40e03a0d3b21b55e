//! The view: all there is to see of a run, drawn from its figures.

use std::collections::VecDeque;
use std::time::Duration;

use events::lengths;
use indicatif::HumanCount;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, Wrap};
use rows::SessionRow;
use serde_json::Value;

use crate::status::{Now, Shard, Strategy};

const SECOND: Duration = Duration::from_secs(1);
/// Wider than any terminal, in seconds.
const LONGEST_HISTORY: usize = 512;
/// From here on there is room for more than the least.
const TALL: u16 = 32;
/// One for each strategy.
const COLORS: [Color; 4] = [Color::Cyan, Color::Magenta, Color::Green, Color::Blue];

/// News beside the figures.
#[derive(Clone, Debug)]
pub(crate) struct Title {
    pub(crate) stream: String,
    /// How long the run takes.
    pub(crate) length: Duration,
    /// How long the first windows stay open.
    pub(crate) window: Duration,
}

/// Remembers how the rate was; all else comes from the figures of the moment.
#[derive(Debug)]
pub(crate) struct View {
    title: Title,
    elapsed: Duration,
    is_ending: bool,
    /// Records of each second.
    rates: VecDeque<u64>,
    /// When the last second ended, and the records until then.
    counted: (Duration, u64),
}

impl View {
    pub(crate) fn new(title: Title) -> Self {
        let (rates, counted) = (VecDeque::new(), (Duration::ZERO, 0));
        Self { title, elapsed: Duration::ZERO, is_ending: false, rates, counted }
    }

    /// Notes the figures of this moment.
    pub(crate) fn observe(&mut self, now: &Now, elapsed: Duration, is_ending: bool) {
        (self.elapsed, self.is_ending) = (elapsed, is_ending);
        let since = elapsed.saturating_sub(self.counted.0);
        if since < SECOND {
            return;
        }
        if self.rates.len() == LONGEST_HISTORY {
            self.rates.pop_front();
        }
        let records = now.records.saturating_sub(self.counted.1);
        self.rates.push_back((records as f64 / since.as_secs_f64()).round() as u64);
        self.counted = (elapsed, now.records);
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>, now: &Now) {
        let area = frame.area();
        let is_tall = area.height >= TALL;
        let middle = (now.shards.len() as u16 + 2).clamp(9, (area.height / 3).max(9));
        let [header, rate, middle, sessions, alerts, footer] = area.layout(&Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(if is_tall { 4 } else { 2 }),
            Constraint::Length(middle),
            Constraint::Fill(1),
            Constraint::Length(if is_tall { 7 } else { 3 }),
            Constraint::Length(1),
        ]));
        let [shards, strategies] =
            middle.layout(&Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).spacing(2));
        self.header(frame, header, now);
        self.rate(frame, rate);
        draw_shards(frame, shards, now);
        draw_strategies(frame, strategies, &now.strategies);
        draw_sessions(frame, sessions, now, &self.hint());
        draw_alerts(frame, alerts, now);
        frame.render_widget(fitting(counters(now), footer.width), footer);
    }

    fn header(&self, frame: &mut Frame<'_>, area: Rect, now: &Now) {
        let left = self.title.length.saturating_sub(Duration::from_secs(self.elapsed.as_secs()));
        let time = match left.is_zero() {
            _ if self.is_ending => "reading the last records".yellow(),
            true => clock(self.elapsed).into(),
            false => format!("{}, {} left", clock(self.elapsed), clock(left)).into(),
        };
        let recent = self.rates.iter().rev().take(3);
        let rate = recent.clone().sum::<u64>() / (recent.count() as u64).max(1);
        let figures = [
            vec![format!("Stream {}", self.title.stream).bold(), "  ".into()],
            vec![time, "  ".into()],
            figure("records", now.records),
            vec![HumanCount(rate).to_string().bold(), "/s".dim(), "  ".into()],
            figure("events", now.events),
        ];
        let key = Line::from("q: end".dim());
        let [left, right] =
            area.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Length(key.width() as u16)]).spacing(2));
        frame.render_widget(fitting(figures, left.width), left);
        frame.render_widget(key, right);
    }

    /// The text of the table before there are sessions.
    fn hint(&self) -> String {
        let Title { window, .. } = self.title;
        let left = window.saturating_sub(Duration::from_secs(self.elapsed.as_secs()));
        let when = match left.is_zero() {
            _ if self.is_ending => "all close at the end".to_owned(),
            true => "the first close now".to_owned(),
            false => format!("the first close in about {}", clock(left)),
        };
        format!("none so far: a window stays open for {}, {when}", lengths::compact(window))
    }

    fn rate(&self, frame: &mut Frame<'_>, area: Rect) {
        let first = self.rates.len().saturating_sub(usize::from(area.width));
        let shown: Vec<u64> = self.rates.iter().skip(first).copied().collect();
        let most = shown.iter().max().map_or(1, |most| most + most / 4 + 1);
        frame.render_widget(Sparkline::default().data(shown).max(most).style(Color::Green), area);
    }
}

/// Number, then word, then a space.
fn figure(word: &str, number: u64) -> Vec<Span<'static>> {
    vec![HumanCount(number).to_string().bold(), format!(" {word}").dim(), "  ".into()]
}

/// As many figures as there is room for, none cut off. Each ends with its space.
fn fitting(figures: impl IntoIterator<Item = Vec<Span<'static>>>, room: u16) -> Line<'static> {
    let width = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    let mut line = Vec::new();
    for figure in figures {
        let shown = width(&figure) - figure.last().map_or(0, Span::width);
        if width(&line) + shown > usize::from(room) {
            break;
        }
        line.extend(figure);
    }
    line.into()
}

fn panel(title: impl Into<Span<'static>>) -> Block<'static> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(Style::new().dark_gray())
        .title(Line::from(vec![title.into().bold(), " ".into()]))
}

/// Those that are read come first; those read to their end are dimmed.
fn draw_shards(frame: &mut Frame<'_>, area: Rect, now: &Now) {
    let (mut shards, closed): (Vec<_>, Vec<_>) = now.shards.iter().partition(|(_, shard)| !shard.is_closed);
    shards.extend(closed);
    let room = usize::from(area.height.saturating_sub(2));
    let hidden = if shards.len() > room { shards.len() - room.saturating_sub(1) } else { 0 };
    shards.truncate(shards.len() - hidden);
    let [number, records, behind] = [8, 9, 8].map(Constraint::Length);
    let bar = u64::from(area.width).saturating_sub(8 + 9 + 8 + 3); // what is left, with a space between columns
    let most = now.shards.values().map(|shard| shard.records).max().unwrap_or(0).max(1);
    let bar_of = |shard: &Shard| "▪".repeat((shard.records * bar).div_ceil(most) as usize);
    let mut rows: Vec<Row<'_>> = shards.into_iter().map(|(id, shard)| shard_row(id, shard, bar_of(shard))).collect();
    if hidden > 0 {
        rows.push(Row::new([format!("+{hidden} more")]).dim());
    }
    let table = Table::new(rows, [number, Constraint::Fill(1), records, behind])
        .header(Row::new([Cell::from(""), "".into(), right("records"), right("behind")]).dim())
        .block(panel("Shards"));
    frame.render_widget(table, area);
}

fn shard_row<'r>(id: &'r str, shard: &Shard, bar: String) -> Row<'r> {
    let number = id.trim_start_matches("shardId-").trim_start_matches('0');
    let behind = match shard.millis_behind {
        _ if shard.is_closed => "closed".to_owned(),
        0 => "0 s".to_owned(),
        millis => format!("{:.1} s", millis as f64 / 1e3),
    };
    let row = Row::new([
        Cell::from(if number.is_empty() { "0" } else { number }),
        Cell::from(bar.green()),
        right(&HumanCount(shard.records).to_string()),
        right(&behind),
    ]);
    if shard.is_closed { row.dim() } else { row }
}

fn right(text: &str) -> Cell<'static> {
    Cell::from(Line::from(text.to_owned()).alignment(Alignment::Right))
}

fn draw_strategies(frame: &mut Frame<'_>, area: Rect, strategies: &[Strategy]) {
    let each = Layout::vertical(vec![Constraint::Fill(1); strategies.len()]).split(area);
    for (index, (strategy, area)) in strategies.iter().zip(each.iter()).enumerate() {
        let name = strategy.name.clone().fg(COLORS[index % COLORS.len()]);
        frame.render_widget(Paragraph::new(strategy_lines(strategy, area.width)).block(panel(name)), *area);
    }
}

fn strategy_lines(strategy: &Strategy, room: u16) -> Vec<Line<'static>> {
    let clock = strategy.clock.map_or_else(|| "not begun".to_owned(), |clock| time_of_day(&clock.to_string()));
    let clock = vec!["clock ".dim(), clock.into(), "".into()];
    let first = [figure("open", strategy.open as u64), figure("closed", strategy.closed)];
    let second = [figure("late", strategy.late), figure("refused", strategy.refused), clock];
    let mut lines = vec![fitting(first, room), fitting(second, room)];
    if let (Some(seconds), Some(events)) = (strategy.seconds.mean(), strategy.events.mean()) {
        lines.push(Line::from(format!("{seconds:.1} s and {events:.1} events on average").dim()));
    }
    lines
}

/// `23:35:10` out of an RFC 3339 time.
fn time_of_day(time: &str) -> String {
    let (_, time) = time.split_once('T').unwrap_or(("", time));
    time.split('.').next().unwrap_or(time).to_owned()
}

/// The latest first.
fn draw_sessions(frame: &mut Frame<'_>, area: Rect, now: &Now, hint: &str) {
    if now.recent.is_empty() {
        let text = Paragraph::new(hint.to_owned().dim()).wrap(Wrap { trim: true });
        return frame.render_widget(text.block(panel("Latest sessions")), area);
    }
    let room = usize::from(area.height.saturating_sub(2));
    let rows = now.recent.iter().rev().take(room).map(|(strategy, session)| session_row(now, *strategy, session));
    let [id, user, device, events, lasted, window] = [6, 5, 8, 6, 6, 12].map(Constraint::Length);
    let widths = [id, user, device, events, Constraint::Max(34), lasted, window];
    let header = [
        Cell::from("id"),
        "user".into(),
        "device".into(),
        right("events"),
        "from → to".into(),
        right("lasted"),
        "window".into(),
    ];
    let table = Table::new(rows, widths).header(Row::new(header).dim()).block(panel("Latest sessions"));
    frame.render_widget(table, area);
}

fn session_row<'r>(now: &'r Now, strategy: usize, session: &SessionRow) -> Row<'r> {
    let name = now.strategies.get(strategy).map_or("", |strategy| &strategy.name);
    let key = |index| session.key.get(index).map(plain).unwrap_or_default();
    let page = |name: &str| name.trim_start_matches("beer_").to_owned();
    Row::new([
        Cell::from(session.id.chars().take(6).collect::<String>().dim()),
        key(0).into(),
        key(1).into(),
        right(&HumanCount(session.events).to_string()),
        format!("{} → {}", page(&session.begin_navigation), page(&session.end_navigation)).into(),
        right(&lasted(session.duration())),
        Cell::from(name.trim_start_matches("stagger_").fg(COLORS[strategy % COLORS.len()])),
    ])
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Alerts, and below them failures; the latest first.
fn draw_alerts(frame: &mut Frame<'_>, area: Rect, now: &Now) {
    let room = usize::from(area.height.saturating_sub(1));
    let troubles = now.troubles.len().min(if now.recent_alerts.is_empty() { room } else { room / 2 });
    let alerts = now.recent_alerts.iter().rev().take(room - troubles);
    let mut lines: Vec<Line<'_>> = alerts.map(|alert| Line::from(vec!["▲ ".red(), alert.as_str().into()])).collect();
    let troubles = now.troubles.iter().rev().take(troubles);
    lines.extend(troubles.map(|trouble| Line::from(vec!["! ".yellow(), trouble.as_str().dim()])));
    if lines.is_empty() {
        lines.push("none so far".dim().into());
    }
    let title = format!("Alerts: {}", HumanCount(now.alerts));
    frame.render_widget(Paragraph::new(lines).block(panel(title)), area);
}

/// The ones that matter most first.
fn counters(now: &Now) -> impl Iterator<Item = Vec<Span<'static>>> {
    let mut counts = vec![
        ("rejected", now.rejected),
        ("late", now.late()),
        ("refused", now.refused()),
        ("checkpoints", now.checkpoints),
        ("files", now.files_published),
        ("retries", now.retries),
        ("throttled", now.throttled),
        ("rows in files", now.rows_published),
    ];
    counts.extend(now.sinks.iter().map(|(name, sink)| (*name, sink.sent)));
    counts.into_iter().map(|(word, count)| figure(word, count))
}

/// `1:05`, or `1:01:05`.
pub(crate) fn clock(length: Duration) -> String {
    let secs = length.as_secs();
    match secs / 3_600 {
        0 => format!("{}:{:02}", secs / 60, secs % 60),
        hours => format!("{hours}:{:02}:{:02}", secs / 60 % 60, secs % 60),
    }
}

/// `1:05`, or `1h01m`.
fn lasted(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    if minutes < 60 { clock(length) } else { format!("{}h{:02}m", minutes / 60, minutes % 60) }
}

#[cfg(test)]
pub(crate) mod samples {
    use stagger::Timestamp;

    use super::*;
    use crate::status::{Sink, Status};

    /// After a split and a merge, with large figures where room could be short.
    pub(crate) fn now() -> Now {
        let status = Status::new();
        let clock = Some(Timestamp::from_secs(1_543_534_510));
        let strategy = |name: &str, open, closed, late| Strategy {
            name: name.to_owned(),
            clock,
            open,
            closed,
            late,
            ..Strategy::default()
        };
        status.change(|now| {
            (now.records, now.events, now.bytes, now.rejected) = (4_612, 4_605, 581_112, 7);
            (now.checkpoints, now.files_published, now.retries) = (12, 24, 3);
            now.strategies = vec![strategy("STEP 30s", 105, 312, 0), strategy("FLOOR minute", 131, 98, 3)];
            for number in 0..7 {
                let is_closed = [0, 2, 3].contains(&number);
                let shard = Shard {
                    records: 500 + 100 * number,
                    bytes: 1,
                    millis_behind: 1_250,
                    is_closed,
                    ..Shard::default()
                };
                now.shards.insert(format!("shardId-{number:012}"), shard);
            }
            now.sinks.insert("firehose", Sink { sent: 410, ..Sink::default() });
        });
        for number in 0..40 {
            status.session(number % 2, &session(number as u64));
        }
        status.alert("user 17 on mobile clicked 61 times within STEP 30s".to_owned());
        status.trouble("PutRecords: the connection was closed; trying again".to_owned());
        status.now()
    }

    fn session(number: u64) -> SessionRow {
        SessionRow {
            id: format!("{:032x}", 0xabcd_bd00_0000_0000_0000_0000_0000_0000_u128 + (u128::from(number) << 104)),
            key: vec![Value::from(10_000 + number), Value::from("computer")],
            timeagg: Timestamp::from_secs(1_543_534_500),
            events: 1_234,
            begin_navigation: "beer_product_detail".to_owned(),
            end_navigation: "beer_product_detail".to_owned(),
            begin: Timestamp::from_secs(1_543_534_500),
            end: Timestamp::from_secs(1_543_534_500 + 3_723),
            reason: "deadline".to_owned(),
            revision: 0,
            supersedes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::style::Modifier;

    use super::*;
    use crate::status::Status;

    fn title(length: u64) -> Title {
        let [length, window] = [length, 30].map(Duration::from_secs);
        Title { stream: "clicks".to_owned(), length, window }
    }

    fn drawn(now: &Now, width: u16, height: u16) -> (Buffer, Vec<String>) {
        let mut view = View::new(title(60));
        for second in 1..=23 {
            let so_far = Now { records: now.records * second / 23, ..now.clone() };
            view.observe(&so_far, Duration::from_secs(second), false);
        }
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test needs no terminal");
        terminal.draw(|frame| view.draw(frame, now)).expect("nothing can fail");
        let buffer = terminal.backend().buffer().clone();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        let lines = (0..height).map(line).collect();
        (buffer, lines)
    }

    fn row(lines: &[String], text: &str) -> usize {
        lines
            .iter()
            .position(|line| line.contains(text))
            .unwrap_or_else(|| panic!("no {text} in\n{}", lines.join("\n")))
    }

    /// Texts that any terminal that is large enough must show.
    const ALWAYS: [&str; 17] = [
        "Stream clicks  0:23, 0:37 left  4,612 records  200/s  4,605 events",
        "q: end",
        "Shards",
        "behind",
        "1.2 s",
        "STEP 30s",
        "105 open  312 closed",
        "0 late  0 refused  clock 23:35:10",
        "3723.0 s and 1234.0 events on average",
        "FLOOR minute",
        "131 open  98 closed",
        "3 late  0 refused",
        "Latest sessions",
        "from → to",
        "Alerts: 1",
        "▲ user 17 on mobile clicked 61 times within STEP 30s",
        "7 rejected  3 late  0 refused  12 checkpoints  24 files  3 retries",
    ];

    #[test]
    fn a_small_terminal_shows_all_that_matters() {
        let (_, lines) = drawn(&samples::now(), 80, 24);
        ALWAYS.iter().for_each(|text| assert!(row(&lines, text) < 24));
        assert!(lines[row(&lines, "! PutRecords: ")].contains("the connection was closed; trying again"));
        let newest = row(&lines, "abcde4 10039 computer  1,234 product_detail → product_detail  1h02m FLOOR minute");
        row(&lines[newest + 1..], "abcde3 10038 computer  1,234 product_detail → product_detail  1h02m STEP 30s");
    }

    #[test]
    fn a_large_terminal_shows_more_of_it() {
        let (_, lines) = drawn(&samples::now(), 120, 40);
        ALWAYS.iter().for_each(|text| assert!(row(&lines, text) < 40));
        row(&lines, "0 throttled  0 rows in files  410 firehose");
        assert!(lines.iter().filter(|line| line.contains("product_detail → product_detail")).count() >= 12);
    }

    #[test]
    fn shards_that_were_read_to_their_end_come_last_and_dimmed() {
        for (width, height) in [(80, 24), (120, 40)] {
            let (buffer, lines) = drawn(&samples::now(), width, height);
            let first = row(&lines, "behind") + 1;
            let numbers: Vec<&str> = lines[first..first + 7].iter().map(|line| &line[..1]).collect();
            assert_eq!(numbers, ["1", "4", "5", "6", "0", "2", "3"]);
            let dimmed = |y: usize| buffer[(0, (first + y) as u16)].modifier.contains(Modifier::DIM);
            assert_eq!([0, 1, 2, 3, 4, 5, 6].map(dimmed), [false, false, false, false, true, true, true]);
            assert!(lines[first + 4].contains("closed"));
        }
    }

    #[test]
    fn more_shards_than_lines_are_counted() {
        let mut now = samples::now();
        for number in 7..50 {
            now.shards.insert(format!("shardId-{number:012}"), Shard::default());
        }
        let (_, lines) = drawn(&now, 80, 24);
        let shown = row(&lines, "+") - row(&lines, "behind") - 1;
        row(&lines, &format!("+{} more", 50 - shown));
    }

    #[test]
    fn an_empty_table_says_when_the_first_sessions_close() {
        let hint = |seconds, is_ending| {
            let mut view = View::new(title(90));
            view.observe(&samples::now(), Duration::from_secs(seconds), is_ending);
            view.hint()
        };
        let window = "none so far: a window stays open for 30s";
        assert_eq!(hint(8, false), format!("{window}, the first close in about 0:22"));
        assert_eq!(hint(31, false), format!("{window}, the first close now"));
        assert_eq!(hint(8, true), format!("{window}, all close at the end"));
        let (_, lines) = drawn(&Status::new().now(), 80, 24);
        assert_eq!(
            row(&lines, &format!("{window}, the first close in about 0:07")),
            row(&lines, "Latest sessions") + 1
        );
        let (_, lines) = drawn(&samples::now(), 80, 24);
        assert!(!lines.iter().any(|line| line.contains(window)));
    }

    #[test]
    fn an_event_that_both_rules_refuse_is_one() {
        let mut now = samples::now();
        now.strategies.iter_mut().for_each(|rule| rule.refused = 1);
        let (_, lines) = drawn(&now, 80, 24);
        row(&lines, "7 rejected  3 late  1 refused  12 checkpoints");
    }

    #[test]
    fn no_figure_is_cut_off_or_covered_at_60_columns() {
        let (_, lines) = drawn(&samples::now(), 60, 24);
        assert_eq!(lines[0], "Stream clicks  0:23, 0:37 left  4,612 records  200/s  q: end");
        let (_, lines) = drawn(&samples::now(), 50, 24);
        assert_eq!(lines[0], format!("{:<44}q: end", "Stream clicks  0:23, 0:37 left"));
        let (_, lines) = drawn(&samples::now(), 60, 24);
        assert_eq!(lines[23].trim_end(), "7 rejected  3 late  0 refused  12 checkpoints  24 files");
        assert!(!lines.iter().any(|line| line.contains("clock 23:35:") && !line.contains("clock 23:35:10")));
    }

    #[test]
    fn the_beginning_and_tiny_terminals_are_no_trouble() {
        let nothing = Status::new().now();
        let (_, lines) = drawn(&nothing, 80, 24);
        row(&lines, "none so far");
        let view = View::new(title(0));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a test needs no terminal");
        terminal.draw(|frame| view.draw(frame, &nothing)).expect("nothing can fail");
        for (width, height) in [(1, 1), (20, 5), (79, 10), (500, 200)] {
            drawn(&nothing, width, height);
            drawn(&samples::now(), width, height);
        }
    }
}
