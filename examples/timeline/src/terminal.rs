//! The drawing in characters, at most 100 columns wide.

use stagger::Timestamp;

use crate::lanes::{Placed, pack};
use crate::reading::Click;
use crate::scale::Scale;
use crate::strategies::Row;

const MARGIN: &str = "  ";
const WIDTH: usize = 96;
const MARKS: usize = 6;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const TINTS: [&str; 2] = ["\x1b[36m", "\x1b[33m"]; // cyan and yellow, by turns
const RESET: &str = "\x1b[0m";

pub(crate) fn draw(scale: &Scale, clicks: &[Click], rows: &[Row], colour: bool) -> String {
    let mut page = Page { scale, colour, text: String::new() };
    page.axis();
    let happened: Vec<Timestamp> = clicks.iter().map(|click| click.happened).collect();
    let received: Vec<Timestamp> = clicks.iter().map(|click| click.received).collect();
    page.title("Events", "by when they happened");
    page.marks(&happened, '●');
    page.title("", "by when they were received");
    page.marks(&received, '○');
    for row in rows {
        page.row(row);
    }
    page.legend();
    page.text
}

struct Page<'p> {
    scale: &'p Scale,
    colour: bool,
    text: String,
}

/// A line being drawn: the letter in each place, and its tint.
type Cells = Vec<(char, Option<usize>)>;

impl Page<'_> {
    fn axis(&mut self) {
        let mut labels = blank();
        let mut ruler = vec![('─', None); WIDTH];
        let mut free = 0; // from here on no label has been written
        for (time, label) in self.scale.marks(MARKS) {
            let at = self.scale.cell(time, WIDTH);
            ruler[at].0 = '┬';
            let from = at.saturating_sub(label.len() / 2).min(WIDTH - label.len());
            if from >= free {
                write_at(&mut labels, from, &label);
                free = from + label.len() + 1;
            }
        }
        self.line(&labels);
        self.line(&ruler);
    }

    fn title(&mut self, name: &str, hint: &str) {
        let between = if name.is_empty() { "" } else { "  " };
        let line = match self.colour {
            true => format!("{BOLD}{name}{RESET}{between}{DIM}{hint}{RESET}\n"),
            false => format!("{name}{between}{hint}\n"),
        };
        self.text += &line;
    }

    fn marks(&mut self, times: &[Timestamp], glyph: char) {
        let mut cells = blank();
        self.put(&mut cells, times, glyph, None);
        self.line(&cells);
    }

    fn row(&mut self, row: &Row) {
        self.text.push('\n');
        let sessions = row.sessions.len();
        let hint = format!("{sessions} session{}: {}", if sessions == 1 { "" } else { "s" }, row.hint);
        self.title(&row.name, &hint);
        let (lanes, left_out) = pack(&row.sessions, |session| self.scale.span(session.window, WIDTH));
        for lane in lanes {
            self.lane(&lane);
        }
        if left_out > 0 {
            self.text += &format!("{MARGIN}and {left_out} more that do not fit in here\n");
        }
        if !row.handed_back.is_empty() {
            self.marks(&row.handed_back, '×');
            self.text += &format!("{MARGIN}× {} handed back, too late\n", row.handed_back.len());
        }
    }

    fn lane(&mut self, lane: &[Placed<'_>]) {
        let (mut bars, mut labels) = (blank(), blank());
        for placed in lane {
            self.bar(&mut bars, placed);
            let room = placed.to - placed.from;
            if let Some(label) = placed.session.labels().iter().find(|label| label.len() < room.max(2)) {
                write_at(&mut labels, placed.from, label);
            }
        }
        self.line(&bars);
        self.line(&labels);
    }

    fn bar(&self, cells: &mut Cells, placed: &Placed<'_>) {
        let Placed { turn, session, from, to } = *placed;
        let tint = Some(turn % TINTS.len());
        let (first, last) = session.active();
        let (first, last) = (self.scale.cell(first, WIDTH), self.scale.cell(last, WIDTH));
        for (at, cell) in cells.iter_mut().enumerate().take(to).skip(from) {
            *cell = (if (first..=last).contains(&at) { '━' } else { '─' }, tint);
        }
        if session.window.start >= self.scale.shown.start {
            cells[from].0 = '[';
        }
        if session.window.end <= self.scale.shown.end {
            cells[to - 1].0 = ')';
        }
        self.put(cells, &session.events, '●', tint);
    }

    /// Draws events; several in one place as their number.
    fn put(&self, cells: &mut Cells, times: &[Timestamp], glyph: char, tint: Option<usize>) {
        let mut counts = [0_u32; WIDTH];
        for time in times {
            counts[self.scale.cell(*time, WIDTH)] += 1;
        }
        for (cell, count) in cells.iter_mut().zip(counts) {
            match count {
                0 => {}
                1 => *cell = (glyph, tint),
                _ => *cell = (char::from_digit(count, 10).unwrap_or('+'), tint),
            }
        }
    }

    fn line(&mut self, cells: &Cells) {
        let used = cells.iter().rposition(|(glyph, _)| *glyph != ' ').map_or(0, |last| last + 1);
        self.text += MARGIN;
        let mut current = None;
        for (glyph, tint) in &cells[..used] {
            if self.colour && *tint != current {
                self.text += tint.map_or(RESET, |tint| TINTS[tint]);
                current = *tint;
            }
            self.text.push(*glyph);
        }
        if current.is_some() {
            self.text += RESET;
        }
        self.text.push('\n');
    }

    fn legend(&mut self) {
        self.text += "\n\
            ● event (2 to 9: so many in one place, +: more)   ━ from its first to its last event\n\
            [ where the window begins   ─ the rest of it   ) where it ends\n\
            Below each session: how many events it has, and why it was over.\n";
    }
}

fn blank() -> Cells {
    vec![(' ', None); WIDTH]
}

fn write_at(cells: &mut Cells, at: usize, text: &str) {
    for (cell, glyph) in cells.iter_mut().skip(at).zip(text.chars()) {
        cell.0 = glyph;
    }
}
