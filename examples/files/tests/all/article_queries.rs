//! The article's two queries on generated clicks, next to a naive reading of their SQL.
//!
//! The clicks come from `generate`, the rows from `files`; the reading shares no code with the library.

use std::collections::BTreeMap;

use article::Click;

use crate::support::{made, ok, sorted};

/// FIRST_VALUE and LAST_VALUE go by event time where the window is one of event time.
fn on_the_event_clock(clicks: &[Click], width: i64) -> Vec<String> {
    let mut groups: BTreeMap<(u64, &str, i64), Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        groups.entry((click.user, &click.device, click.bucket(width))).or_default().push(click);
    }
    groups.values_mut().for_each(|clicks| clicks.sort_by_key(|click| click.happened));
    groups.iter().map(|((.., bucket), clicks)| article::row(*bucket, clicks)).collect()
}

fn on_the_arrival_clock(mut clicks: Vec<Click>, width: i64) -> Vec<String> {
    clicks.sort_by_key(|click| click.arrived);
    article::rows(&clicks, width)
}

#[test]
fn both_queries_give_the_rows_of_the_sql_on_both_clocks() {
    let lines = made("--users 400 --rate 3 --duration 1h --disorder 20s --stragglers 0.02 --late-by 5m");
    let generated = String::from_utf8(lines).expect("text");
    let clicks: Vec<Click> = generated.lines().map(Click::read).collect();
    let fields = "--key user_id,device_id --time client_timestamp --value client_event --output-format kinesis-sql";
    let rows = |strategy: &str| {
        let ran = ok(&generated, &format!("{fields} {strategy}"));
        sorted(ran.out.lines().skip(1).map(str::to_owned).collect())
    };
    for (seconds, event, arrival) in [(30, "--step 30s", "step=30s"), (60, "--floor minute", "floor=minute")] {
        let width = seconds * 1_000_000;
        let expected = sorted(on_the_event_clock(&clicks, width));
        assert!(expected.len() > 1_000);
        assert_eq!(rows(event), expected);
        let stagger = format!("--stagger {arrival} --range {seconds}s --arrival arrival_timestamp");
        let on_arrival = sorted(on_the_arrival_clock(clicks.clone(), width));
        assert!(on_arrival.len() > expected.len(), "some windows are opened again");
        assert_eq!(rows(&stagger), on_arrival);
    }
}
