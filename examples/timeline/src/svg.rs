//! The drawing as a picture that needs nothing else: no fonts, no scripts, no style sheets.

use std::fmt::Write;

use stagger::Timestamp;

use crate::lanes::{Placed, pack};
use crate::reading::Click;
use crate::scale::Scale;
use crate::strategies::Row;

const MARGIN: usize = 24;
const WIDTH: usize = 1052;
const MARKS: usize = 10;
const BAR: usize = 18;
const TITLE: usize = 34;
const LABEL: usize = 16;
/// About the width of a letter of a label.
const LETTER: usize = 7;

/// The window, and the part of it between first and last event; by turns.
const TINTS: [(&str, &str); 2] = [("#dbe9f6", "#7fb2dc"), ("#fde6cf", "#f4a75f")];

pub(crate) fn draw(scale: &Scale, clicks: &[Click], rows: &[Row]) -> String {
    let mut picture = Picture { scale, y: 40, body: String::new() };
    let happened: Vec<Timestamp> = clicks.iter().map(|click| click.happened).collect();
    let received: Vec<Timestamp> = clicks.iter().map(|click| click.received).collect();
    picture.marks("Events, by when they happened", &happened, "#222");
    picture.marks("Events, by when they were received", &received, "#fff");
    for row in rows {
        picture.row(row);
    }
    picture.legend();
    picture.finish()
}

struct Picture<'p> {
    scale: &'p Scale,
    /// Everything above is drawn.
    y: usize,
    body: String,
}

impl Picture<'_> {
    fn add(&mut self, element: &str) {
        self.body += element;
        self.body.push('\n');
    }

    fn x(&self, time: Timestamp) -> usize {
        MARGIN + self.scale.place(time, WIDTH)
    }

    fn title(&mut self, name: &str, hint: &str) {
        let (y, name, hint) = (self.y + 24, escaped(name), escaped(hint));
        self.add(&format!(
            r##"<text x="{MARGIN}" y="{y}"><tspan font-weight="bold">{name}</tspan><tspan dx="10" font-size="12" fill="#555">{hint}</tspan></text>"##
        ));
        self.y += TITLE;
    }

    fn marks(&mut self, name: &str, times: &[Timestamp], fill: &str) {
        self.title(name, "");
        self.dots(times, fill);
        self.y += BAR;
    }

    fn dots(&mut self, times: &[Timestamp], fill: &str) {
        for time in times {
            let (x, y) = (self.x(*time), self.y + BAR / 2);
            self.add(&format!(r##"<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="#222"/>"##));
        }
    }

    fn row(&mut self, row: &Row) {
        let sessions = row.sessions.len();
        let hint = format!("{sessions} session{}: {}", if sessions == 1 { "" } else { "s" }, row.hint);
        self.title(&row.name, &hint);
        let (lanes, left_out) = pack(&row.sessions, |session| self.scale.span(session.window, WIDTH));
        for lane in lanes {
            for placed in &lane {
                self.session(&row.name, placed);
            }
            self.y += BAR + LABEL;
        }
        if left_out > 0 {
            self.note(MARGIN, &format!("and {left_out} more that do not fit in here"));
            self.y += LABEL;
        }
        if !row.handed_back.is_empty() {
            for time in &row.handed_back {
                self.note(self.x(*time) - 4, "×");
            }
            self.y += LABEL;
            self.note(MARGIN, &format!("× {} handed back, too late", row.handed_back.len()));
            self.y += LABEL;
        }
    }

    fn session(&mut self, strategy: &str, placed: &Placed<'_>) {
        let Placed { turn, session, from, to } = *placed;
        let (light, strong) = TINTS[turn % TINTS.len()];
        let (first, last) = session.active();
        let (x, y, width) = (MARGIN + from, self.y, to - from);
        let (strategy, [said, _], window) = (escaped(strategy), session.labels(), session.window);
        self.add(&format!("<g><title>{strategy}: {said}, {window}</title>"));
        self.add(&format!(r#"<rect x="{x}" y="{y}" width="{width}" height="{BAR}" fill="{light}"/>"#));
        let (a, b) = (self.x(first), self.x(last));
        let (inner, active) = (y + 5, b - a);
        self.add(&format!(r#"<rect x="{a}" y="{inner}" width="{active}" height="8" fill="{strong}"/>"#));
        if window.start >= self.scale.shown.start {
            self.edge(x, strong, "");
        }
        if window.end <= self.scale.shown.end {
            self.edge(x + width - 1, strong, r#" stroke-dasharray="3 2""#);
        }
        self.dots(&session.events, "#222");
        if let Some(label) = session.labels().iter().find(|label| label.len() * LETTER < width) {
            self.y += BAR;
            self.note(x, label);
            self.y -= BAR;
        }
        self.add("</g>");
    }

    fn edge(&mut self, x: usize, colour: &str, dashes: &str) {
        let (top, bottom) = (self.y, self.y + BAR);
        self.add(&format!(
            r#"<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="{colour}" stroke-width="2"{dashes}/>"#
        ));
    }

    fn note(&mut self, x: usize, text: &str) {
        let y = self.y + 12;
        self.add(&format!(r##"<text x="{x}" y="{y}" font-size="12" fill="#333">{}</text>"##, escaped(text)));
    }

    fn legend(&mut self) {
        self.y += LABEL;
        let (light, strong) = TINTS[0];
        let (x, y) = (MARGIN, self.y);
        self.add(&format!(r#"<rect x="{x}" y="{y}" width="90" height="{BAR}" fill="{light}"/>"#));
        let (a, inner) = (x + 14, y + 5);
        self.add(&format!(r#"<rect x="{a}" y="{inner}" width="40" height="8" fill="{strong}"/>"#));
        self.edge(x, strong, "");
        self.edge(x + 89, strong, r#" stroke-dasharray="3 2""#);
        for x in [a, a + 40] {
            self.add(&format!(r##"<circle cx="{x}" cy="{}" r="4" fill="#222"/>"##, y + BAR / 2));
        }
        self.note(
            x + 104,
            "A session: its window (the dashed end is outside), its events, and the time from its first to its last.",
        );
        self.y += LABEL;
        self.note(
            x + 104,
            "Below it: how many events it has, and why it was over. Colours only tell neighbours apart.",
        );
        self.y += LABEL + MARGIN;
    }

    /// Puts the axis behind it all, now that the height is known.
    fn finish(self) -> String {
        let (width, height, bottom) = (WIDTH + 2 * MARGIN, self.y, self.y - 4 * LABEL);
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="14" fill="#222">
<title>One user's events under each strategy</title>
<rect width="{width}" height="{height}" fill="#fff"/>
"##
        );
        for (time, label) in self.scale.marks(MARKS) {
            let x = self.x(time);
            let lines = format!(
                r##"<line x1="{x}" y1="32" x2="{x}" y2="{bottom}" stroke="#e4e4e4"/><text x="{x}" y="24" font-size="12" text-anchor="middle" fill="#555">{label}</text>"##
            );
            writeln!(svg, "{lines}").expect("a String takes any text");
        }
        svg + &self.body + "</svg>\n"
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
