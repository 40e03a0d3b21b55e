//! Arbitrary configurations and streams, small enough that ties, touching ends and full tables are
//! common, and placed where time is difficult: around 1970, at both ends of an `i64`, at leap days
//! and where clocks change.

use chrono_tz::Tz;
use proptest::bool::weighted as weighted_bool;
use proptest::collection::vec;
use proptest::option::{of as maybe, weighted};
use proptest::prelude::{BoxedStrategy, Just, Strategy as Arbitrary, any};
use proptest::sample::select;
use proptest::{array, prop_oneof};

use super::{Ev, GapSpec, KEYS, KINDS, LAST, Op, Rounding, Spec, Strategy, Unit, Updates, WhenFull, Zone, clamp};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Where a case takes place, and what counts there as a small step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    base: i64,
    scale: i64,
}

impl Ground {
    fn at(self, steps: i64, jitter: i64) -> i64 {
        let jitter = if self.scale > 1 { jitter } else { 0 };
        clamp(i128::from(self.base) + i128::from(steps) * i128::from(self.scale) + i128::from(jitter))
    }

    /// At least a microsecond long.
    fn length(self, steps: i64, jitter: i64) -> i64 {
        let jitter = if self.scale > 1 { jitter } else { 0 };
        clamp(i128::from(steps) * i128::from(self.scale) + i128::from(jitter)).clamp(1, i64::MAX - 1)
    }
}

/// The strategies that properties are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Step,
    Floor,
    Gap,
    /// With a maximum duration or cuts.
    OrderedGap,
    Sliding,
    Stagger,
    StaggerPerKey,
}

// --- Places ---

fn plain_ground() -> impl Arbitrary<Value = Ground> {
    let base = select(vec![
        0,
        -20,
        i64::MIN,
        i64::MAX - 40,
        i64::MAX / 2,
        1_543_534_510_000_000,
        253_402_300_799_999_980, // the last microseconds of the year 9999
        -62_135_596_800_000_010, // the year 1 begins
    ]);
    (base, select(vec![1, 1, SECOND])).prop_map(|(base, scale)| Ground { base, scale })
}

/// Instants in seconds at which something happens to the calendar of a zone.
fn changes(zone: Zone) -> Vec<i64> {
    use chrono_tz::{America, Antarctica, Asia, Australia, Europe, Pacific};
    match zone {
        Zone::Named(Europe::Berlin) => vec![1_711_846_800, 1_729_990_800, -2_422_054_408],
        Zone::Named(America::New_York) => vec![1_710_054_000, 1_730_613_600],
        Zone::Named(Australia::Lord_Howe) => vec![1_712_415_600, 1_728_142_200],
        Zone::Named(America::Sao_Paulo) => vec![1_541_300_400, 1_518_919_200],
        Zone::Named(America::St_Johns) => vec![1_162_089_060, 1_143_948_660],
        Zone::Named(Pacific::Apia) => vec![1_325_239_200],
        Zone::Named(Asia::Kathmandu) => vec![504_901_800],
        Zone::Named(Antarctica::Troll) => vec![1_711_846_800],
        _ => vec![i64::MIN / SECOND, i64::MAX / SECOND - 1],
    }
}

/// Instants in seconds that are difficult everywhere: 1970, leap days, turns of the year.
const LANDMARKS: [i64; 7] =
    [0, 951_782_400, 4_107_542_400, -2_203_891_200, 253_402_300_799, -62_135_596_800, 1_735_689_600];

fn zones() -> impl Arbitrary<Value = Zone> {
    use chrono_tz::{America, Antarctica, Asia, Australia, Europe, Pacific};
    let named: [Tz; 8] = [
        Europe::Berlin,
        America::New_York,
        Australia::Lord_Howe,
        America::Sao_Paulo,
        America::St_Johns,
        Pacific::Apia,
        Asia::Kathmandu,
        Antarctica::Troll,
    ];
    prop_oneof![
        2 => Just(Zone::Utc),
        2 => select(vec![0, 3600, -12_600, 20_700, 50_400, -43_200, 1]).prop_map(Zone::Fixed),
        6 => select(named.to_vec()).prop_map(Zone::Named),
    ]
}

/// A calendar unit, a zone, and a ground where some steps cross a border of the unit.
fn floor() -> impl Arbitrary<Value = (Rounding, Ground)> {
    let units = select(vec![
        (Unit::Second, SECOND / 4),
        (Unit::Minute, 15 * SECOND),
        (Unit::Hour, 10 * 60 * SECOND),
        (Unit::Day, 5 * HOUR),
        (Unit::Week, 2 * DAY),
        (Unit::Month, 9 * DAY),
        (Unit::Quarter, 25 * DAY),
        (Unit::Year, 100 * DAY),
    ]);
    (units, zones()).prop_flat_map(|((unit, scale), zone)| {
        let mut bases = changes(zone);
        bases.extend(LANDMARKS);
        (select(bases), -20..=0_i64).prop_map(move |(base, back)| {
            let ground = Ground { base: base.saturating_mul(SECOND), scale };
            (Rounding::Floor { unit, zone }, Ground { base: ground.at(back, 0), scale })
        })
    })
}

fn step(ground: Ground) -> impl Arbitrary<Value = Rounding> {
    let width = prop_oneof![
        12 => (1..=12_i64, -1..=1_i64).prop_map(move |(n, jitter)| ground.length(n, jitter)),
        1 => select(vec![i64::MAX - 1, i64::MAX / 3]),
    ];
    let origin = prop_oneof![
        2 => Just(0),
        2 => (-9..=9_i64, -1..=1_i64).prop_map(move |(n, jitter)| ground.at(n, jitter)),
        1 => select(vec![i64::MIN, i64::MAX]),
    ];
    (width, origin).prop_map(|(width, origin)| Rounding::Step { width, origin })
}

// --- Strategies ---

fn on_plain_ground<S: Arbitrary<Value = Strategy> + 'static>(
    strategy: impl Fn(Ground) -> S + 'static,
) -> BoxedStrategy<(Strategy, Ground)> {
    plain_ground().prop_flat_map(move |ground| (strategy(ground), Just(ground))).boxed()
}

fn strategies(family: Family) -> BoxedStrategy<(Strategy, Ground)> {
    match family {
        Family::Step => on_plain_ground(|ground| step(ground).prop_map(Strategy::Bucketed)),
        Family::Floor => floor().prop_map(|(rounding, ground)| (Strategy::Bucketed(rounding), ground)).boxed(),
        Family::Gap => on_plain_ground(|ground| gap(ground).prop_map(Strategy::Gap)),
        Family::OrderedGap => ordered_gap(),
        Family::Sliding => on_plain_ground(sliding),
        Family::StaggerPerKey => on_plain_ground(|ground| stagger(None, ground)),
        Family::Stagger => {
            let stepped = plain_ground().prop_flat_map(|ground| (step(ground), Just(ground)));
            prop_oneof![3 => stepped, 1 => floor()]
                .prop_flat_map(|(rounding, ground)| (stagger(Some(rounding), ground), Just(ground)))
                .boxed()
        }
    }
}

fn stagger(rounding: Option<Rounding>, ground: Ground) -> impl Arbitrary<Value = Strategy> {
    (1..=12_i64, maybe(0..=20_i64)).prop_map(move |(range, remember)| Strategy::Arrival {
        rounding,
        range: ground.length(range, 0),
        remember: remember.map(|n| if n == 0 { 0 } else { ground.length(n, 0) }),
    })
}

fn gap(ground: Ground) -> impl Arbitrary<Value = GapSpec> {
    let own = prop_oneof![
        6 => Just(None),
        2 => Just(Some(0)),
        6 => (1..=20_i64).prop_map(move |n| Some(ground.length(n, 0))),
        1 => Just(Some(i64::MAX)),
    ];
    let per_kind = maybe(array::uniform(own));
    (1..=10_i64, -1..=1_i64, any::<bool>(), per_kind).prop_map(move |(gap, jitter, inclusive, per_kind)| GapSpec {
        gap: ground.length(gap, jitter),
        inclusive,
        per_kind,
        max: None,
        cut_between: None,
        cut_rule: false,
        cut_with: false,
        max_events: None,
        end_kind: None,
        pings: None,
    })
}

fn ordered_gap() -> BoxedStrategy<(Strategy, Ground)> {
    let plain = plain_ground().prop_flat_map(|ground| (weighted(0.3, step(ground)), Just(ground)));
    let with_floor = floor().prop_map(|(rounding, ground)| (Some(rounding), ground));
    let cut_between = prop_oneof![3 => plain, 1 => with_floor];
    cut_between
        .prop_flat_map(|(cut_between, ground)| {
            let max = weighted(0.6, (1..=25_i64, -1..=1_i64).prop_map(move |(n, jitter)| ground.length(n, jitter)));
            let ends = weighted(0.3, 0..KINDS);
            let pings = weighted(0.3, (0..KINDS, any::<bool>()));
            let rules = (any::<bool>(), weighted_bool(0.3), weighted(0.3, 1..=6_usize), ends, pings);
            (gap(ground), max, Just(cut_between), rules, Just(ground))
        })
        .prop_map(|(gap, max, cut_between, (cut_rule, cut_with, max_events, end_kind, pings), ground)| {
            (GapSpec { max, cut_between, cut_rule, cut_with, max_events, end_kind, pings, ..gap }, ground)
        })
        .prop_filter("without any of them the order does not matter", |(gap, _)| gap.needs_order())
        .prop_map(|(gap, ground)| (Strategy::Gap(gap), ground))
        .boxed()
}

fn sliding(ground: Ground) -> impl Arbitrary<Value = Strategy> {
    let origin = prop_oneof![
        3 => Just(0),
        2 => (-9..=9_i64).prop_map(move |n| ground.at(n, 0)),
        1 => select(vec![i64::MIN, i64::MAX]),
    ];
    // With a slide of a microsecond there are more windows at the ends of time than an index counts.
    let lengths = prop_oneof![
        3 => (1..=12_i64, 2..=14_i64),
        2 => (1..=12_i64).prop_map(|size| (size, size)),
    ];
    let lengths = lengths.prop_map(move |(size, slide)| (ground.length(size, 0), ground.length(slide, 0)));
    let endless = select(vec![(i64::MAX - 1, i64::MAX - 1), (i64::MAX / 2, i64::MAX / 5)]);
    (prop_oneof![12 => lengths, 1 => endless], origin).prop_map(|((size, slide), origin)| Strategy::Sliding {
        size,
        slide,
        origin,
    })
}

// --- Streams ---

/// An event before its ground is known.
#[derive(Clone, Debug)]
struct Raw {
    key: u8,
    kind: u8,
    steps: i64,
    jitter: i64,
    /// Steps by which the arrival is after the event.
    delay: i64,
    extreme: Option<i64>,
}

fn raw(steps: core::ops::RangeInclusive<i64>, delay: core::ops::RangeInclusive<i64>) -> impl Arbitrary<Value = Raw> {
    let extreme = weighted(0.02, select(vec![i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX]));
    (0..KEYS, 0..KINDS, steps, -1..=1_i64, delay, extreme).prop_map(|(key, kind, steps, jitter, delay, extreme)| Raw {
        key,
        kind,
        steps,
        jitter,
        delay,
        extreme,
    })
}

/// Whether instants far from the ground suit: `chrono` knows the offsets of zones for some hundred
/// thousand years only.
fn allows_extremes(strategy: &Strategy) -> bool {
    let rounding = match strategy {
        Strategy::Bucketed(rounding) => Some(rounding),
        Strategy::Arrival { rounding, .. } => rounding.as_ref(),
        Strategy::Gap(gap) => gap.cut_between.as_ref(),
        Strategy::Sliding { .. } => None,
    };
    !matches!(rounding, Some(Rounding::Floor { zone: Zone::Named(_), .. }))
}

fn event(id: usize, raw: &Raw, ground: Ground, with_extremes: bool) -> Ev {
    let extreme = raw.extreme.filter(|_| with_extremes);
    let time = extreme.unwrap_or(ground.at(raw.steps, raw.jitter));
    let arrival = ground.at(raw.steps + raw.delay, 0);
    Ev { id: id as u32, key: raw.key, kind: raw.kind, time, arrival }
}

/// A stream that is never beyond its bound.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    pub(crate) spec: Spec,
    /// The events as they arrive.
    pub(crate) arrivals: Vec<Ev>,
    /// The same with clock moves.
    pub(crate) ops: Vec<Op>,
    /// The same events in another order, still within the bound.
    pub(crate) reordered: Vec<Ev>,
}

pub(crate) fn within(family: Family) -> impl Arbitrary<Value = Within> {
    let bound = prop_oneof![1 => Just(0), 8 => 1..=30_i64, 1 => Just(i64::MAX)];
    // How late each event arrives in the two orders, in sixteenths of the bound.
    let delays = array::uniform2(0..=16_i64);
    // Steps by which a clock move before the event falls short of the largest possible one.
    let advance = weighted(0.2, 0..=5_i64);
    let events = vec((raw(0..=50, -8..=12), delays, advance), 0..24);
    let last = maybe(0..=80_i64);
    let settings = (any::<bool>(), settings());
    (strategies(family), bound, events, last, settings).prop_map(
        |((strategy, ground), bound, events, last, (is_derived, settings))| {
            let bound = if bound == 0 { 0 } else { ground.length(bound, 0) };
            let mut spec = settings.spec(strategy, ground);
            spec.out_of_order = is_derived.then_some(bound);
            spec.most = None;
            let with_extremes = allows_extremes(&spec.strategy);
            let delayed: Vec<(Ev, [i128; 2], Option<i64>)> = events
                .iter()
                .enumerate()
                .map(|(id, (raw, delays, advance))| {
                    let event = event(id, raw, ground, with_extremes);
                    let due = delays.map(|d| i128::from(event.time) + i128::from(bound) * i128::from(d) / 16);
                    (event, due, *advance)
                })
                .collect();
            let order = |which: usize| {
                let mut order = delayed.clone();
                order.sort_by_key(|(_, due, _)| due[which]);
                order
            };
            let (first, second) = (order(0), order(1));
            let mut ops = with_clock_moves(&first, ground);
            ops.extend(last.map(|steps| Op::Advance(ground.at(steps, 0))));
            Within {
                spec,
                ops,
                arrivals: first.iter().map(|(event, ..)| *event).collect(),
                reordered: second.iter().map(|(event, ..)| *event).collect(),
            }
        },
    )
}

/// Before some events the clock moves, never past an event still to come.
fn with_clock_moves(order: &[(Ev, [i128; 2], Option<i64>)], ground: Ground) -> Vec<Op> {
    let mut ops = Vec::new();
    for (i, (event, _, advance)) in order.iter().enumerate() {
        if let Some(short) = advance {
            let to_come = order[i..].iter().map(|(event, ..)| event.time).min().expect("this one");
            let watermark = clamp(i128::from(to_come) - i128::from(*short) * i128::from(ground.scale));
            ops.push(Op::Advance(watermark.min(LAST)));
        }
        ops.push(Op::Push(*event));
    }
    ops
}

/// A stream that keeps no bound.
#[derive(Clone, Debug)]
pub(crate) struct Wild {
    pub(crate) spec: Spec,
    pub(crate) ops: Vec<Op>,
}

#[derive(Clone, Debug)]
enum RawOp {
    Push(Raw),
    Advance(i64),
    Flush,
}

pub(crate) fn wild(family: Family) -> impl Arbitrary<Value = Wild> {
    let push = raw(-15..=5, -3..=6).prop_map(RawOp::Push);
    let op = prop_oneof![30 => push, 4 => (-20..=8_i64).prop_map(RawOp::Advance), 1 => Just(RawOp::Flush)];
    // From each operation to the next, time goes on; now and then it jumps.
    let pace = prop_oneof![4 => Just(0), 12 => 1..=3_i64, 1 => 4..=30_i64, 1 => -6..=-1_i64];
    let bound = maybe(prop_oneof![1 => Just(0), 8 => 1..=20_i64]);
    (strategies(family), bound, vec((pace, op), 0..32), settings()).prop_map(
        |((strategy, ground), bound, ops, settings)| {
            let mut spec = settings.spec(strategy, ground);
            let on_arrival = matches!(spec.strategy, Strategy::Arrival { .. });
            spec.out_of_order = bound.filter(|_| !on_arrival).map(|n| if n == 0 { 0 } else { ground.length(n, 0) });
            spec.lateness = if on_arrival { 0 } else { spec.lateness };
            let with_extremes = allows_extremes(&spec.strategy);
            let mut progress = 0;
            let ops = ops.iter().enumerate().map(|(id, (pace, op))| {
                progress += pace;
                match op {
                    RawOp::Push(raw) => {
                        let raw = Raw { steps: raw.steps + progress, ..raw.clone() };
                        Op::Push(event(id, &raw, ground, with_extremes))
                    }
                    RawOp::Advance(steps) => Op::Advance(ground.at(progress + steps, 0)),
                    RawOp::Flush => Op::Flush,
                }
            });
            Wild { ops: ops.collect(), spec }
        },
    )
}

/// Options that go with every strategy, in steps.
#[derive(Clone, Debug)]
struct Settings {
    max_future: Option<i64>,
    lateness: i64,
    first_last_by_arrival: bool,
    most: Option<(usize, WhenFull)>,
    updates: (Option<i64>, Option<usize>),
    unique: Option<u32>,
}

fn settings() -> impl Arbitrary<Value = Settings> {
    let lateness = prop_oneof![Just(0), 1..=20_i64];
    let when_full = select(vec![WhenFull::Refuse, WhenFull::CloseOldest]);
    let updates = (weighted(0.3, 1..=15_i64), weighted(0.2, 1..=5_usize));
    let unique = weighted(0.3, 1..=9_u32);
    (weighted(0.3, -1..=10_i64), lateness, any::<bool>(), weighted(0.4, (1..=6_usize, when_full)), updates, unique)
        .prop_map(|(max_future, lateness, first_last_by_arrival, most, updates, unique)| Settings {
            max_future,
            lateness,
            first_last_by_arrival,
            most,
            updates,
            unique,
        })
}

impl Settings {
    fn spec(self, strategy: Strategy, ground: Ground) -> Spec {
        let steps = |n: i64| if n <= 0 { 0 } else { ground.length(n, 0) };
        // An event may need room for each of its windows.
        let windows = match strategy {
            Strategy::Sliding { size, slide, .. } => (size / slide) as usize + 1,
            _ => 0,
        };
        // That of a gap makes it one that is built in order of time.
        let is_plain_gap = matches!(&strategy, Strategy::Gap(gap) if !gap.needs_order());
        Spec {
            unique: self.unique.filter(|_| !is_plain_gap),
            strategy,
            out_of_order: None,
            max_future: self.max_future.map(steps),
            lateness: steps(self.lateness),
            first_last_by_arrival: self.first_last_by_arrival,
            most: self.most.map(|(most, when_full)| (most + windows, when_full)),
            updates: Updates { every: self.updates.0.map(|n| ground.length(n, 0)), events: self.updates.1 },
        }
    }
}
