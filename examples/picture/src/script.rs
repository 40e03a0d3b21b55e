//! The page's own script, as far as it computes, run by a small JavaScript engine: its sums against
//! plain sums over the sessions, and its layouts against their promises.

use events::parse::times::Recent;
use proptest::prelude::*;
use rquickjs::{Context, Ctx, Function, Runtime};
use serde_json::{Value, json};

use crate::cube::{Cube, MOST_GROUPS};
use crate::pack::pack;
use crate::page::COMPUTING;
use crate::row::{Cell, Draft, Role};
use crate::sessions::{Session, Sessions};

/// Evaluates an expression that gives a text of JSON, with `input` as JSON too.
fn run(expression: &str, input: &Value) -> Value {
    let runtime = Runtime::new().unwrap();
    let context = Context::full(&runtime).unwrap();
    context.with(|ctx| {
        let atob = Function::new(ctx.clone(), atob).unwrap();
        ctx.globals().set("atob", atob).unwrap();
        let script = COMPUTING.concat();
        let text = Value::String(input.to_string()).to_string();
        let source = format!("{script}\nconst input = JSON.parse({text});\nJSON.stringify({expression})");
        let result: String = ctx.eval(source).unwrap_or_else(|error| panic!("{error}: {:?}", ctx_error(&ctx)));
        serde_json::from_str(&result).unwrap()
    })
}

fn ctx_error(ctx: &Ctx<'_>) -> String {
    ctx.catch().as_exception().map(ToString::to_string).unwrap_or_default()
}

/// As browsers have it: a letter for each byte.
fn atob(text: String) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    bytes.into_iter().map(char::from).collect()
}

/// A made-up session, in small numbers.
#[derive(Clone, Debug)]
struct Made {
    begin: i64,
    micros: i64,
    events: i64,
    device: u32,
    user: u32,
    pages: (u32, u32),
}

fn made() -> impl Strategy<Value = Made> {
    let micros = prop_oneof![Just(0), 0i64..2_000_000, 0i64..20_000_000_000];
    let ids = (0u32..70, 0u32..9, (0u32..12, 0u32..12));
    let begin = prop_oneof![40 => 0i64..200_000_000_000, 1 => -1_000_000_000_000_000..1_000_000_000_000_000i64];
    (begin, micros, 1i64..9, ids).prop_map(|(begin, micros, events, (device, user, pages))| {
        let micros = if events == 1 { 0 } else { micros };
        Made { begin, micros, events, device, user, pages }
    })
}

fn collected(made: &[Made]) -> (Vec<Session>, Sessions) {
    let mut sessions = Sessions::new(None);
    for one in made {
        let mut draft = Draft::default();
        let cells = [
            ("user_id", Cell::Whole(one.user.into())),
            ("device_id", Cell::Text(format!("d{}", one.device).into())),
            ("events", Cell::Whole(one.events)),
            ("first_time", Cell::Time(one.begin)),
            ("last_time", Cell::Time(one.begin + one.micros)),
            ("first_event", Cell::Text(format!("p{}", one.pages.0).into())),
            ("last_event", Cell::Text(format!("p{}", one.pages.1).into())),
        ];
        for (name, cell) in &cells {
            draft.set(name, Role::of(name), cell, &Recent::default()).unwrap();
        }
        sessions.add(&draft).unwrap();
    }
    let (list, _) = sessions.finish();
    (list, sessions)
}

/// Sessions, events, seconds and bounces of those that fit, added up one by one.
fn plain<'a>(fitting: impl Iterator<Item = &'a Made>) -> Value {
    let (mut sessions, mut events, mut seconds, mut bounces) = (0, 0, 0, 0);
    for one in fitting {
        sessions += 1;
        events += one.events;
        seconds += one.micros / 1_000_000;
        bounces += u64::from(one.micros == 0);
    }
    json!({ "sessions": sessions, "events": events, "seconds": seconds, "bounces": bounces })
}

/// Everything that the page computes for a choice.
const CHOSEN: &str = "(() => {
    const data = decode(input.packed);
    const choice = { groups: new Set(input.groups), from: input.from, to: input.to };
    const sums = select(data, choice);
    return { sums: { ...sums, flows: Array.from(sums.flows) }, longest: longest(data, choice, 50), names: data };
})()";

fn number(value: &Value) -> u64 {
    value.as_f64().unwrap() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_choice_has_the_sums_of_its_sessions(
        all in prop::collection::vec(made(), 1..400),
        picks in prop::collection::vec(0usize..60, 0..4),
        ends in (0.0..1.0, 0.0..1.0),
    ) {
        let (list, texts) = collected(&all);
        let cube = Cube::of(&list, &texts);
        let packed = pack(&list, &texts, "t").unwrap();
        let groups = cube.groups.count();
        let picks: Vec<usize> = picks.into_iter().map(|pick| pick % groups).collect();
        let count = cube.times.count as f64;
        let (low, high) = if ends.0 < ends.1 { ends } else { (ends.1, ends.0) };
        let (from, to) = ((low * count) as usize, (high * count) as usize + 1);
        let shown = run(CHOSEN, &json!({ "packed": packed, "groups": picks, "from": from, "to": to }));

        let named = |one: &Made| cube.groups.names.iter().position(|name| *name == format!("d{}", one.device));
        let place = |one: &Made| named(one).unwrap_or(groups - 1);
        let in_group = |one: &&Made| picks.is_empty() || picks.contains(&place(one));
        let width = cube.times.width * 1_000_000;
        let last = cube.times.count as i64 - 1;
        let bucket = |one: &Made| (one.begin - cube.times.origin * 1_000_000).div_euclid(width).clamp(0, last) as usize;
        let in_time = |one: &&Made| (from..to).contains(&bucket(one));
        let chosen: Vec<&Made> = all.iter().filter(in_group).filter(in_time).collect();

        let sums = &shown["sums"];
        prop_assert_eq!(&sums["total"], &plain(chosen.iter().copied()));
        for group in 0..groups {
            let of_group = all.iter().filter(in_time).filter(|one| place(one) == group);
            prop_assert_eq!(&sums["groups"][group], &plain(of_group));
        }
        for time in 0..cube.times.count {
            let of_time = all.iter().filter(in_group).filter(|one| bucket(one) == time);
            prop_assert_eq!(&sums["times"][time], &plain(of_time));
        }
        for (kind, seen) in sums["kinds"].as_array().unwrap().iter().enumerate() {
            let is_of_kind = |one: &&&Made| match kind {
                0 => one.events == 1,
                1 => one.events > 1 && one.micros == 0,
                _ => one.events > 1 && one.micros > 0 && {
                    let seconds = one.micros as u64 / 1_000_000;
                    cube.lengths.edges[kind - 2] <= seconds && seconds < cube.lengths.edges[kind - 1]
                },
            };
            prop_assert_eq!(seen, &plain(chosen.iter().filter(is_of_kind).copied()));
        }
        check_flows(&shown, &cube, &chosen)?;
        check_longest(&shown["longest"], &chosen)?;
    }

    #[test]
    fn tiles_are_proportional_and_fill_the_rectangle_without_overlap(
        weights in prop::collection::vec(prop_oneof![1 => Just(0.0), 9 => 0.001f64..1e6], 1..60),
        width in 50.0f64..1500.0,
        height in 50.0f64..900.0,
    ) {
        let input = json!({ "weights": weights, "width": width, "height": height });
        let tiles = run("squarify(input.weights, input.width, input.height)", &input);
        let sum: f64 = weights.iter().sum();
        let mut drawn = Vec::new();
        for (weight, tile) in weights.iter().zip(tiles.as_array().unwrap()) {
            prop_assert_eq!(tile.is_null(), *weight == 0.0);
            if let Some(tile) = rectangle(tile) {
                let area = weight / sum * width * height;
                prop_assert!((tile.width * tile.height - area).abs() < 1e-6 * width * height, "{tile:?} for {area}");
                drawn.push(tile);
            }
        }
        let slack = 1e-6 * width.max(height);
        for (index, a) in drawn.iter().enumerate() {
            prop_assert!(a.x > -slack && a.y > -slack, "{a:?} is outside");
            prop_assert!(a.right() < width + slack && a.bottom() < height + slack, "{a:?} is outside");
            for b in &drawn[index + 1..] {
                let wide = a.right().min(b.right()) - a.x.max(b.x);
                let high = a.bottom().min(b.bottom()) - a.y.max(b.y);
                prop_assert!(wide < slack || high < slack, "{a:?} and {b:?} overlap");
            }
        }
        let covered: f64 = drawn.iter().map(|tile| tile.width * tile.height).sum();
        prop_assert!(drawn.is_empty() || (covered - width * height).abs() < 1e-6 * width * height);
    }

    #[test]
    fn tiles_of_like_weights_are_nearly_square(weights in prop::collection::vec(1.0f64..4.0, 16..60)) {
        let tiles = run("squarify(input, 800, 500)", &json!(weights));
        let drawn = tiles.as_array().unwrap().iter().filter_map(rectangle);
        let mut ratios: Vec<f64> = drawn.map(|tile| tile.ratio()).collect();
        ratios.sort_by(f64::total_cmp);
        // Only the last row may be long, since it takes the remaining blocks.
        let (middle, most) = (ratios[ratios.len() / 2], ratios[ratios.len() * 9 / 10 - 1]);
        prop_assert!(middle < 1.7 && most < 3.0, "{ratios:?}");
    }

    #[test]
    fn bands_add_up_to_their_events(flows in prop::collection::vec(0u32..50, 12)) {
        let layout = run("flowLayout(input, 3, 4, 300, 8)", &json!(flows));
        let bands = layout["bands"].as_array().unwrap();
        for (side, end, from) in [("left", "first", "from"), ("right", "last", "to")] {
            let nodes = layout[side].as_array().unwrap();
            for (index, node) in nodes.iter().enumerate() {
                let (top, height) = (node["y"].as_f64().unwrap(), node["height"].as_f64().unwrap());
                prop_assert!(top > -1e-6 && top + height < 300.0 + 1e-6);
                let of_node: Vec<&Value> = bands.iter().filter(|band| band[end] == index).collect();
                let thick: f64 = of_node.iter().map(|band| band["height"].as_f64().unwrap()).sum();
                prop_assert!((thick - height).abs() < 1e-6);
                let mut at = top;
                for band in of_node {
                    prop_assert!((band[from].as_f64().unwrap() - at).abs() < 1e-6);
                    at += band["height"].as_f64().unwrap();
                }
            }
        }
        let drawn: u64 = bands.iter().map(|band| number(&band["sessions"])).sum();
        prop_assert_eq!(drawn, flows.iter().map(|sessions| u64::from(*sessions)).sum::<u64>());
    }

    #[test]
    fn labels_move_apart_and_stay_within(mut places in prop::collection::vec(0.0f64..300.0, 1..10)) {
        places.sort_by(f64::total_cmp);
        let moved = run("spread(input, 15, 8, 292)", &json!(places));
        let moved: Vec<f64> = moved.as_array().unwrap().iter().map(|place| place.as_f64().unwrap()).collect();
        prop_assert!(moved.windows(2).all(|pair| pair[1] - pair[0] > 15.0 - 1e-9), "{moved:?}");
        prop_assert!(moved[0] > 8.0 - 1e-9 && moved[moved.len() - 1] < 292.0 + 1e-9, "{moved:?}");
    }
}

fn check_flows(shown: &Value, cube: &Cube, chosen: &[&Made]) -> Result<(), TestCaseError> {
    let lasts = cube.lasts.count();
    let named =
        |names: &[String], page: u32| names.iter().position(|name| *name == format!("p{page}")).unwrap_or(names.len());
    let mut flows = vec![0; cube.firsts.count() * lasts];
    for one in chosen {
        flows[named(&cube.firsts.names, one.pages.0) * lasts + named(&cube.lasts.names, one.pages.1)] += 1;
    }
    prop_assert_eq!(&shown["sums"]["flows"], &json!(flows));
    Ok(())
}

/// The rows shown are the longest of all that were chosen.
fn check_longest(rows: &Value, chosen: &[&Made]) -> Result<(), TestCaseError> {
    let shown: Vec<u64> = rows.as_array().unwrap().iter().map(|row| number(&row["seconds"])).collect();
    let mut all: Vec<u64> = chosen.iter().map(|one| one.micros as u64 / 1_000_000).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    prop_assert!(all.is_empty() || !shown.is_empty());
    prop_assert_eq!(&shown, &all[..shown.len()]);
    Ok(())
}

#[derive(Debug)]
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Rectangle {
    fn right(&self) -> f64 {
        self.x + self.width
    }

    fn bottom(&self) -> f64 {
        self.y + self.height
    }

    fn ratio(&self) -> f64 {
        (self.width / self.height).max(self.height / self.width)
    }
}

fn rectangle(value: &Value) -> Option<Rectangle> {
    let side = |name: &str| value[name].as_f64();
    Some(Rectangle { x: side("x")?, y: side("y")?, width: side("width")?, height: side("height")? })
}

/// The example of the paper: areas 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 by 4.
#[test]
fn the_example_of_bruls_huizing_and_van_wijk() {
    let tiles = run("squarify([6, 6, 4, 3, 2, 2, 1], 6, 4)", &Value::Null);
    let of = |index: usize| {
        let tile = rectangle(&tiles[index]).unwrap();
        [tile.x, tile.y, tile.width, tile.height].map(|side| (side * 100.0).round() / 100.0)
    };
    assert_eq!([of(0), of(1)], [[0.0, 0.0, 3.0, 2.0], [0.0, 2.0, 3.0, 2.0]]);
    assert_eq!([of(2), of(3)], [[3.0, 0.0, 1.71, 2.33], [4.71, 0.0, 1.29, 2.33]]);
    assert_eq!([of(4), of(5), of(6)], [[3.0, 2.33, 1.2, 1.67], [4.2, 2.33, 1.2, 1.67], [5.4, 2.33, 0.6, 1.67]]);
}

#[test]
fn arrow_keys_go_to_the_tile_that_lies_there() {
    let moves = "(() => {
        const tiles = squarify([6, 6, 4, 3, 2, 2, 1], 600, 400);
        return [[0, 1], [1, 0], [0, -1], [-1, 0]].map(way => neighbour(tiles, 0, way));
    })()";
    assert_eq!(run(moves, &Value::Null), json!([1, 2, 0, 0]));
}

#[test]
fn what_has_no_name_stands_at_the_end_with_its_area() {
    let laid = |width: u32, height: u32| {
        run(
            "squarifyWithRest(input[0], 3, input[1], input[2]).map(r => r && [r.x, r.y, r.width, r.height].map(Math.round))",
            &json!([[3, 0, 1, 12], width, height]),
        )
    };
    assert_eq!(laid(400, 100), json!([[0, 0, 75, 100], null, [75, 0, 25, 100], [100, 0, 300, 100]]));
    assert_eq!(laid(100, 400), json!([[0, 0, 75, 100], null, [75, 0, 25, 100], [0, 100, 100, 300]]));
    let none = run("squarifyWithRest([2, 1], 2, 300, 100).map(r => r.width)", &Value::Null);
    assert_eq!(none, json!([200, 100]));
    assert_eq!(run("squarifyWithRest([0, 0], 1, 300, 100)", &Value::Null), json!([null, null]));
}

#[test]
fn large_numbers_arrive_whole() {
    let sums = json!([(1u64 << 53) - 1, 0, 127, 128, 1u64 << 32]);
    let mut numbers = crate::pack::Numbers::default();
    numbers.extend(sums.as_array().unwrap().iter().filter_map(Value::as_u64));
    assert_eq!(run("numbersOf(input)", &json!(numbers.text())), sums);
}

#[test]
fn many_groups_become_named_ones_and_one_for_all_others() {
    let one = |device: u32| Made {
        begin: 0,
        micros: i64::from(device) * 1_000_000,
        events: 2,
        device,
        user: 1,
        pages: (0, 0),
    };
    let names = |devices: u32| {
        let (list, texts) = collected(&(0..devices).map(one).collect::<Vec<_>>());
        let ranking = Cube::of(&list, &texts).groups;
        (ranking.names.len(), ranking.others, ranking.names[0].clone())
    };
    assert_eq!(names(MOST_GROUPS as u32 + 1), (MOST_GROUPS + 1, 0, format!("d{MOST_GROUPS}")));
    assert_eq!(names(MOST_GROUPS as u32 + 3), (MOST_GROUPS, 3, format!("d{}", MOST_GROUPS + 2)));
}

/// More sessions than fit into the table.
#[test]
fn the_table_shows_the_longest_of_any_choice_without_gaps() {
    let one = |number: u32| Made {
        begin: i64::from(number * 7919 % 20_000) * 1_000_000,
        micros: i64::from(number * 104_729 % 9_973) * 1_000_000,
        events: 2,
        device: number % 5 * (number % 3),
        user: number % 9,
        pages: (0, 0),
    };
    let all: Vec<Made> = (0..20_000).map(one).collect();
    let (list, texts) = collected(&all);
    let cube = Cube::of(&list, &texts);
    let packed = pack(&list, &texts, "t").unwrap();
    let (width, mut least) = (cube.times.width * 1_000_000, usize::MAX);
    let choices = [
        (None, 0, cube.times.count),
        (None, 3, 4),
        (None, 3, 5),
        (Some(2), 0, 30),
        (Some(0), 7, 10),
        (Some(4), 10, 60),
    ];
    for (group, from, to) in choices {
        let choice = json!({ "packed": packed, "groups": group.as_slice(), "from": from, "to": to });
        let rows = run(CHOSEN, &choice)["longest"].clone();
        let name = group.map(|group: usize| cube.groups.names[group].clone());
        let of_group = |one: &&Made| name.as_ref().is_none_or(|name| *name == format!("d{}", one.device));
        let of_time = |one: &&Made| (from..to).contains(&((one.begin / width) as usize));
        let chosen: Vec<&Made> = all.iter().filter(of_group).filter(of_time).collect();
        check_longest(&rows, &chosen).unwrap();
        assert!(chosen.len() > 50);
        least = least.min(rows.as_array().map_or(0, Vec::len));
    }
    assert!(least < 50, "some choices show fewer, since the next longest was left out");
}

#[test]
fn colours_tell_large_differences_only() {
    let colours = |counts: &[u64]| {
        let script = "(() => {
            const steps = colourSteps(input);
            return input.map(count => colourOf(steps, stepOf(steps, count)));
        })()";
        run(script, &json!(counts))
    };
    assert_eq!(colours(&[2_349, 2_400, 2_528]), json!([2, 2, 2]));
    assert_eq!(colours(&[100, 149, 150]), json!([2, 2, 3]));
    assert_eq!(colours(&[100, 200, 300]), json!([1, 2, 3]));
    assert_eq!(colours(&[1, 2, 3]), json!([1, 2, 3]));
    assert_eq!(colours(&[1, 10, 100, 1_000, 10_000, 100_000]), json!([0, 1, 2, 3, 4, 5]));
    assert_eq!(colours(&[7]), json!([2]));
    assert_eq!(colours(&[]), json!([]));
}

#[test]
fn what_lies_outside_of_the_range_is_said() {
    let told = |far: &[i64]| {
        let one =
            |begin: i64| Made { begin: begin * 1_000_000, micros: 0, events: 1, device: 0, user: 1, pages: (0, 0) };
        let all: Vec<Made> = (0..100).map(|minute| 60 * minute).chain(far.iter().copied()).map(one).collect();
        let (list, texts) = collected(&all);
        let packed = pack(&list, &texts, "t").unwrap();
        let script = "(() => {
            const data = decode(input);
            const sums = select(data, everything(data));
            const edges = fineRange(data.times).map(edge => edgeOf(data.times, edge));
            return [edges, outsideText(data.times, sums.times), longest(data, everything(data), 500).length];
        })()";
        run(script, &packed)
    };
    const YEAR: i64 = 365 * 86_400;
    assert_eq!(told(&[]), json!([[0, 6_000], "", 100]));
    assert_eq!(told(&[YEAR]), json!([[0, 6_000], "1 session after (the last at 1971-01-01 00:00:00)", 101]));
    let both =
        "1 session before (the first at 1969-01-01 00:00:00) and 1 session after (the last at 1971-01-01 00:00:00)";
    assert_eq!(told(&[YEAR, -YEAR]), json!([[0, 6_000], both, 102]));
}

#[test]
fn nothing_at_all_is_drawn_without_failing() {
    let (list, texts) = collected(&[]);
    let packed = pack(&list, &texts, "t").unwrap();
    let shown = run(CHOSEN, &json!({ "packed": packed, "groups": [], "from": 0, "to": 1 }));
    assert_eq!(shown["sums"]["total"], plain(std::iter::empty()));
}

#[test]
fn numbers_durations_and_times_read_well() {
    let texts = "[number(0), number(1234567), counted(1, 'session'), duration(0), duration(59), duration(3600),
        duration(3725), duration(90061), share(1, 8), share(1, 30), timeText(1543534510, 1),
        timeText(1543534500, 60), timeText(1543449600, 86400), roundedDown(0.5), roundedDown(4999),
        shortened('abcd', 4), shortened('abcde', 4), isolated('abc'), isolated('عربي')].map(String)";
    let counts = ["0", "1,234,567", "1 session"];
    let durations = ["0 s", "59 s", "1 h", "1 h 2 min", "1 d 1 h"];
    let times = ["2018-11-29 23:35:10", "2018-11-29 23:35", "2018-11-29"];
    let others = ["1", "2000", "abcd", "abc…", "abc", "\u{2068}عربي\u{2069}"];
    let expected = [&counts[..], &durations, &["13 %", "3.3 %"], &times, &others].concat();
    assert_eq!(run(texts, &Value::Null), json!(expected));
}
