//! The page in a real browser: its figures, and its answers to mouse and keyboard.
//!
//! Without Chromium the tests say so and check nothing.

mod devtools;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;

use devtools::{Browser, chromium};
use serde_json::{Value, json};
use support::{Row, csv, page, rows};

/// The page of [`rows`] in a browser.
struct Shown {
    browser: Browser,
    _folder: tempfile::TempDir,
}

fn shown(width: u32, height: u32) -> Option<Shown> {
    page_of(&csv(&rows()), width, height)
}

/// The page of a file in a browser.
fn page_of(csv: &str, width: u32, height: u32) -> Option<Shown> {
    let chromium = chromium()?;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("visits.csv"), csv).expect("it can be written");
    let (_, file) = page(folder.path(), &["visits.csv"]);
    let mut browser = Browser::start(&chromium, width, height);
    browser.open(&file);
    Some(Shown { browser, _folder: folder })
}

/// The sums of the matching rows, as the page should show them.
fn sums(fits: impl Fn(&Row) -> bool) -> Value {
    let rows: Vec<Row> = rows().into_iter().filter(fits).collect();
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>().to_string();
    json!([
        rows.len().to_string(),
        sum(|row| row.events),
        sum(|row| row.seconds),
        sum(|row| u64::from(row.events == 1))
    ])
}

const TOTALS: &str = "['sessions', 'events', 'seconds', 'bounces'].map(name =>
    document.querySelector('[data-total=\"' + name + '\"]').dataset.exact)";

fn tile(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('.tile')].find(tile => tile.getAttribute('aria-label').startsWith('{name}:'))"
    )
}

impl Shown {
    fn totals(&mut self) -> Value {
        self.browser.value(TOTALS)
    }

    fn text(&mut self, selector: &str) -> String {
        let text = self.browser.value(&format!("document.querySelector('{selector}').textContent"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The cells of a column of the longest sessions.
    fn column(&mut self, number: usize) -> Vec<String> {
        let selector = format!("#longest tbody td:nth-child({number})");
        let cells =
            self.browser.value(&format!("[...document.querySelectorAll('{selector}')].map(td => td.textContent)"));
        cells.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The durations of the rows of the table, from top to bottom.
    fn seconds(&mut self) -> Vec<u64> {
        let rows =
            self.browser.value("[...document.querySelectorAll('#longest tbody tr')].map(tr => +tr.dataset.seconds)");
        rows.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    }
}

#[test]
fn it_opens_with_the_sums_of_all_rows_and_asks_for_nothing_else() {
    let Some(mut shown) = shown(1440, 900) else { return };
    assert_eq!(shown.totals(), sums(|_| true));
    let said = shown.text("#range");
    assert_eq!(said, "2018-11-29 00:00 to 2018-11-29 20:00 UTC");
    assert_eq!(shown.text("#choice"), "Everything is shown.");
    assert_eq!(shown.browser.value("document.getElementById('reset').disabled"), true);
    shown.browser.click("document.querySelector('#groups summary')", false);
    let foreign: Vec<&String> =
        shown.browser.requests.iter().filter(|url| !url.starts_with("file://") && *url != "data:,").collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let pages = shown.browser.requests.iter().filter(|url| url.starts_with("file://")).count();
    assert_eq!(pages, 1, "{:?}", shown.browser.requests);
    assert!(shown.browser.problems.is_empty(), "{:?}", shown.browser.problems);
}

#[test]
fn a_click_on_a_device_filters_everything_and_reset_takes_it_back() {
    let Some(mut shown) = shown(1440, 900) else { return };
    let all = shown.seconds();
    shown.browser.click(&tile("mobile"), false);
    assert_eq!(shown.totals(), sums(|row| row.device == "mobile"));
    assert_eq!(shown.text("#choice"), "Only mobile");
    assert_eq!(shown.browser.value(&format!("({}).getAttribute('aria-pressed')", tile("mobile"))), "true");
    assert!(shown.column(3).iter().all(|device| device == "mobile"));
    let counted: u64 = rows().iter().filter(|row| row.device == "mobile" && row.events == 1).count() as u64;
    let percent = format!("({counted} of 100)");
    assert!(shown.text("#lengths figcaption").contains(&percent), "the histogram follows");

    shown.browser.click(&tile("tablet"), true);
    assert_eq!(shown.totals(), sums(|row| row.device != "computer"), "with Shift one more is chosen");
    shown.browser.click(&tile("tablet"), false);
    assert_eq!(shown.totals(), sums(|row| row.device == "tablet"), "without it one alone");
    shown.browser.click(&tile("tablet"), false);
    assert_eq!(shown.totals(), sums(|_| true), "and the same one again means all");

    shown.browser.click(&tile("computer"), false);
    assert_eq!(shown.totals(), sums(|row| row.device == "computer"));
    shown.browser.click("document.getElementById('reset')", false);
    assert_eq!(shown.totals(), sums(|_| true));
    assert_eq!(shown.seconds(), all);
    assert_eq!(shown.text("#choice"), "Everything is shown.");
}

#[test]
fn dragging_chooses_whole_buckets_of_time() {
    let Some(mut shown) = shown(1440, 900) else { return };
    let area = "document.querySelector('#times .area')";
    // 60 buckets of 20 minutes: from the middle of bucket 15 to the middle of bucket 29.
    shown.browser.drag(area, 15.5 / 60.0, 29.5 / 60.0);
    let in_range = |row: &Row| (15..30).contains(&(row.begin / 1200));
    assert_eq!(shown.totals(), sums(in_range));
    assert_eq!(shown.text("#choice"), "Only 2018-11-29 05:00 to 2018-11-29 10:00");
    shown.browser.click(&tile("tablet"), false);
    assert_eq!(shown.totals(), sums(|row| in_range(row) && row.device == "tablet"), "both at once");
    shown.browser.click("document.getElementById('reset')", false);
    shown.browser.drag(area, 30.5 / 60.0, 30.5 / 60.0);
    assert_eq!(shown.totals(), sums(|row| row.begin / 1200 == 30), "a click chooses one bucket");
    shown.browser.drag(area, 30.5 / 60.0, 30.5 / 60.0);
    assert_eq!(shown.totals(), sums(|_| true), "another one lets go of it");
}

#[test]
fn the_keyboard_does_all_of_it() {
    let Some(mut shown) = shown(1440, 900) else { return };
    let focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent";
    shown.browser.value("document.activeElement.blur()");
    shown.browser.press("Tab"); // the first thing to reach: a device, since there is nothing to reset
    let first = shown.browser.value(focused);
    let first = first.as_str().and_then(|label| label.split(':').next()).unwrap_or_default().to_owned();
    assert!(["mobile", "computer", "tablet"].contains(&&*first), "{first}");
    shown.browser.press("Space");
    assert_eq!(shown.totals(), sums(|row| row.device == first));
    let said = "new Promise(done => setTimeout(() => done(document.getElementById('said').textContent), 400))";
    let said = shown.browser.value(said);
    assert!(said.as_str().unwrap_or_default().starts_with(&format!("Only {first}: 100 sessions")), "{said}");
    shown.browser.press("ArrowRight");
    let second = shown.browser.value(focused);
    let second = second.as_str().and_then(|label| label.split(':').next()).unwrap_or_default().to_owned();
    assert_ne!(second, first);
    shown.browser.press("Enter");
    assert_eq!(shown.totals(), sums(|row| row.device == second));
    shown.browser.press("Escape");
    assert_eq!(shown.totals(), sums(|_| true));

    shown.browser.value("document.querySelector('.handle[data-end=from]').focus()");
    shown.browser.press("ArrowRight");
    shown.browser.press("PageUp");
    assert_eq!(shown.totals(), sums(|row| row.begin / 1200 >= 7), "1 and then 6 buckets");
    let text = "document.activeElement.getAttribute('aria-valuetext')";
    assert_eq!(shown.browser.value(text), "2018-11-29 02:20");
    shown.browser.press("Tab");
    shown.browser.press("Home");
    shown.browser.press("ArrowUp");
    assert_eq!(shown.totals(), sums(|row| (7..9).contains(&(row.begin / 1200))), "the end stays behind the beginning");
    shown.browser.press("Escape");

    shown.browser.value("document.querySelector('.node.first').focus()");
    assert!(shown.text("#flows .readout").contains(" begins "));
    shown.browser.press("ArrowDown");
    shown.browser.press("ArrowRight");
    assert!(shown.text("#flows .readout").contains(" ends "));
}

/// A session of a user and a device, a year after [`rows`], with one page.
fn a_year_ahead(device: &str, page: &str) -> String {
    let time = "2019-11-29T12:00:00.000000Z";
    format!("{:032x},7,{device},{time},{time},0,2,{time},{time},0,{page},{page},gap\n", 7_777)
}

#[test]
fn a_session_a_year_ahead_does_not_squash_the_others_into_one_bar() {
    let csv = csv(&rows()) + &a_year_ahead("mobile", "home");
    let Some(mut shown) = page_of(&csv, 1440, 900) else { return };
    let bars = |shown: &mut Shown| shown.browser.value("document.querySelectorAll('#times rect.clicks').length");
    assert_eq!(bars(&mut shown), 61, "as many as without it, and one");
    let after = "1 session after (the last at 2019-11-29 12:00:00)";
    assert_eq!(shown.text("#range"), format!("2018-11-29 00:00 to 2018-11-29 20:00 UTC; {after}"));
    assert!(shown.text("#times figcaption").ends_with(&format!("In the bars at the ends: {after}.")));
    shown.browser.value("document.querySelector('.handle[data-end=from]').focus()");
    shown.browser.press("End");
    assert_eq!(shown.totals(), json!(["1", "2", "0", "1"]), "its bar can be chosen like all others");
    assert_eq!(shown.text("#choice"), "Only 2018-11-29 20:00 to 2019-11-29 12:00:01");
    assert_eq!(shown.column(1), ["2019-11-29 12:00:00"]);
}

#[test]
fn names_cannot_hide_letters_or_turn_the_text_around_them() {
    let csv = csv(&rows()).replace("tablet", "\u{202e}telbat").replace("home", " \u{200b}").replace("mobile", "عربي");
    let Some(mut shown) = page_of(&csv, 1440, 900) else { return };
    let hidden = "[...document.body.innerHTML].filter(c => /[\\u200b\\u202a-\\u202e]/.test(c)).length";
    assert_eq!(shown.browser.value(hidden), 0);
    assert!(shown.text("#groups").contains("⟨U+202E⟩telbat") && shown.text("#flows").contains("␣⟨U+200B⟩"));
    assert!(shown.text("#groups figcaption").contains("\u{2068}عربي\u{2069} "), "the sentence goes on as before");
}

#[test]
fn the_table_sorts_by_each_column() {
    let Some(mut shown) = shown(1440, 900) else { return };
    let mut longest: Vec<u64> = rows().iter().map(|row| row.seconds).collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    longest.truncate(50);
    assert_eq!(shown.seconds(), longest, "the longest first");
    let head = |column: &str| format!("document.querySelector('th[data-column={column}] button')");
    shown.browser.click(&head("seconds"), false);
    longest.reverse();
    assert_eq!(shown.seconds(), longest);
    assert_eq!(
        shown.browser.value("document.querySelector('th[data-column=seconds]').getAttribute('aria-sort')"),
        "ascending"
    );
    shown.browser.click(&head("user"), false);
    let users: Vec<u64> = shown.column(2).iter().filter_map(|user| user.parse().ok()).collect();
    assert!(users.len() == 50 && users.is_sorted(), "numbers are ordered as numbers: {users:?}");
    shown.browser.value(&format!("{}.focus()", head("name")));
    shown.browser.press("Enter");
    assert!(shown.column(3).is_sorted(), "by keyboard too");
    assert_eq!(shown.browser.value("document.querySelectorAll('[aria-sort]').length"), 1);
}

#[test]
fn everything_that_can_be_focused_has_a_name_and_figures_have_tables() {
    let Some(mut shown) = shown(400, 850) else { return };
    let tree = shown.browser.call("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().expect("a tree");
    let is = |node: &Value, name: &str| {
        let list = node["properties"].as_array().into_iter().flatten();
        list.filter(|property| property["name"] == name).any(|property| property["value"]["value"] == true)
    };
    let focusable: Vec<&Value> =
        nodes.iter().filter(|node| is(node, "focusable") && node["role"]["value"] != "RootWebArea").collect();
    assert!(focusable.len() > 15, "tiles, handles, events, heads and tables");
    for node in focusable {
        assert!(node["name"]["value"].as_str().is_some_and(|name| !name.is_empty()), "without a name: {node}");
    }
    let names = |role: &str| nodes.iter().filter(|node| node["role"]["value"] == role).count();
    assert_eq!((names("figure"), names("slider")), (4, 2));
    shown.browser.value("document.querySelectorAll('details').forEach(details => { details.open = true; })");
    shown.browser.settle();
    let rows = "[...document.querySelectorAll('figure')].map(figure => figure.querySelectorAll('tbody tr').length)";
    let rows = shown.browser.value(rows);
    assert_eq!((&rows[0], &rows[1]), (&json!(3), &json!(60)));
    assert!(rows[2].as_u64() > Some(8) && rows[3].as_u64() > Some(8), "{rows}");
    let wide = shown.browser.value("document.documentElement.scrollWidth");
    assert_eq!(wide, 400, "nothing sticks out on a telephone");
}

/// The least contrast of visible texts against their background, as WCAG counts it.
const CONTRAST: &str = r"(() => {
    const parts = colour => colour.match(/[\d.]+/g).map(Number);
    const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const behind = element => {
        const tile = element.closest('.tile');
        if (tile) return parts(getComputedStyle(tile.querySelector('rect')).fill);
        for (let e = element; e; e = e.parentElement) {
            const colour = parts(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    let worst = [99, ''];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || element.closest('script, noscript, style')) continue;
        if (!element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const front = parts(element.closest('svg') ? style.fill : style.color);
        const [a, b] = [light(front), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < worst[0]) worst = [ratio, walker.currentNode.data];
    }
    return worst;
})()";

#[test]
fn texts_have_enough_contrast_in_light_and_dark() {
    let Some(mut shown) = shown(1440, 900) else { return };
    // Without transitions, which would show colours that are on their way.
    let still = "document.head.append(Object.assign(document.createElement('style'),
        { textContent: '* { transition: none !important }' }))";
    shown.browser.value(still);
    for scheme in ["light", "dark"] {
        shown.browser.prefer(scheme);
        for colour in 0..6 {
            let paint = format!("tiles.forEach(tile => tile.setAttribute('data-colour', {colour}))");
            shown.browser.value(&paint);
            shown.browser.settle();
            let worst = shown.browser.value(CONTRAST);
            assert!(worst[0].as_f64() >= Some(4.5), "{scheme}, colour {colour}: {worst}");
        }
        shown.browser.click(&tile("mobile"), false);
        let worst = shown.browser.value(CONTRAST);
        assert!(worst[0].as_f64() >= Some(4.5), "{scheme}, one chosen: {worst}");
        shown.browser.press("Escape");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// `cargo test --release -p picture --test browser -- --ignored --nocapture`
#[test]
#[ignore = "makes a million sessions and measures: run it alone, with --release"]
fn a_million_sessions_open_within_two_seconds() {
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (_, file) = page(folder.path(), &["--made-up", "1000000"]);
    let size = std::fs::metadata(&file).expect("a page").len();
    let mut opening = Vec::new();
    let mut choosing = Vec::new();
    for _ in 0..7 {
        let mut browser = Browser::start(&chromium, 1440, 900);
        opening.push(browser.open(&PathBuf::from(&file)));
        let choose =
            "(() => { const start = performance.now(); state.choice = { groups: new Set([1]), from: 3, to: 40 };
            state.sums = select(data, state.choice); show(); return performance.now() - start; })()";
        choosing.push(browser.value(choose).as_f64().expect("a number"));
    }
    println!(
        "{size} bytes; shown after {:.0} ms {opening:?}; a choice takes {:.0} ms",
        median(opening.clone()),
        median(choosing)
    );
    assert!(size < 2_000_000);
    assert!(median(opening) < 2_000.0);
}
