//! Properties of every strategy over arbitrary streams, configurations and disorder.
//!
//! Each runs 150 cases; set `STAGGER_CASES` for more:
//! `STAGGER_CASES=100000 cargo test --release --test properties`.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use oracle::generate::{Family, wild, within};
use oracle::stream::Simulation;
use oracle::subject::{
    All, Key, NAMES, Reader, Step, Subject, Summary, Value, View, build, call, config, lend, row_of, step, tally,
};
use oracle::{
    Ev, Fate, KEYS, LAST, Op, Reason, Row, Spec, Strategy, Tally, Updates, WhenFull, batch, clamp, is_future,
    sliding_windows,
};
use proptest::array;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option::of as maybe;
use proptest::prelude::any;
use proptest::strategy::Strategy as Arbitrary;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use stagger::{Event, OpenSession, Pushed, Queued, SessionId, Sessionize, Sharded, Snapshot, Timestamp, iter::Output};

macro_rules! each_family {
    ($($family:ident as $module:ident: $($property:ident),*;)*) => {$(
        mod $module {
            $(#[test]
            fn $property() {
                super::$property(super::Family::$family);
            })*
        }
    )*};
}

each_family! {
    Step as step_of_event_time: is_exact_or_counted, equals_the_batch, ignores_the_order_of_arrival, equals_the_simulation, shows_what_is_open,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_changes, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
    Floor as floor_of_event_time: is_exact_or_counted, equals_the_batch, ignores_the_order_of_arrival, equals_the_simulation, shows_what_is_open,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_changes, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
    Gap as gap: is_exact_or_counted, ids_differ_after_other_settings, equals_the_batch, ignores_the_order_of_arrival, equals_the_simulation, shows_what_is_open,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_changes, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
    OrderedGap as gap_with_maximum_or_cut: updates_what_is_settled, is_exact_or_counted, ids_differ_after_other_settings, equals_the_batch, ignores_the_order_of_arrival, shows_what_is_settled,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
    Sliding as sliding: is_exact_or_counted, equals_the_batch, ignores_the_order_of_arrival, equals_the_simulation, shows_what_is_open,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_changes, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
    Stagger as stagger_on_arrival: equals_the_simulation, shows_what_is_open,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_changes, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
    StaggerPerKey as stagger_per_key: equals_the_simulation, shows_what_is_open,
        loses_nothing, outlives_panics, is_deterministic, tells_its_deadlines, goes_on_after_upkeep,
        goes_on_after_snapshots, goes_on_after_changes, goes_on_after_portions, goes_on_in_pieces, is_the_same_in_every_form,
        is_the_same_in_batches, is_the_same_in_shards, is_the_same_in_portions, tags_every_event, ids_tell_of_their_key_alone,
        ids_differ_after_other_bounds;
}

/// Runs a property over many cases. What failed once is tried again first, in every later run.
fn holds<C: Debug>(cases: impl Arbitrary<Value = C>, property: impl Fn(C)) {
    let number = std::env::var("STAGGER_CASES").ok().map_or(150, |n| n.parse().expect("a number of cases"));
    let seeds = FileFailurePersistence::Direct("tests/proptest-regressions/properties.txt");
    let config = Config {
        cases: number,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(seeds)),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&cases, |case| {
        property(case);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

// --- Within the bound ---

/// At each step, the emitted sessions are those of the sorted events up to there.
fn equals_the_batch(family: Family) {
    holds(within(family), |case| {
        let (mut engine, mut reader) = (build(&case.spec), Reader::default());
        let (mut pushed, mut rows, mut watermark) = (Vec::new(), Vec::new(), i64::MIN);
        let (mut orphans, mut copies) = (Vec::new(), Vec::new());
        for op in &case.ops {
            let step = step(&mut engine, op);
            watermark = watermark.max(watermark_after(&case.spec, op));
            if let Op::Push(event) = op {
                pushed.push(*event);
                let is_unplaced = |fate: &Fate| matches!(fate, Fate::Orphan | Fate::Duplicate);
                let refusal = refusal(step.fate).filter(|fate| !is_unplaced(fate));
                assert_eq!(refusal, expected_refusal(&case.spec, event));
                orphans.extend((step.fate == Some(Fate::Orphan)).then_some(event.id));
                copies.extend((step.fate == Some(Fate::Duplicate)).then_some(event.id));
            }
            assert_eq!(step.now, watermark);
            orphans.extend(step.orphans);
            copies.extend(step.copies);
            assert_conserved(&step.tally);
            let sessions = batch::sessions(&case.spec, &pushed);
            let mut due: Vec<_> = sessions.into_iter().filter(|s| s.deadline <= watermark).collect();
            // Only an event at the watermark cuts a session at once. By then others with the same
            // deadline are out: the check comes before the event is placed.
            due.sort_by_key(|s| matches!(op, Op::Push(event) if s.cut_by == Some(event.id)));
            let fresh = without(due.into_iter().map(|s| s.row).collect(), &rows);
            assert_eq!(finals(reader.rows(&step.summaries)), fresh, "after {op:?}");
            rows.extend(fresh);
        }
        let sessions = batch::sessions(&case.spec, &pushed);
        let rest = without(batch::rows_at_the_end(sessions, watermark), &rows);
        let last = step(&mut engine, &Op::Flush);
        assert_eq!(finals(reader.rows(&last.summaries)), rest);
        orphans.extend(last.orphans);
        copies.extend(last.copies);
        let in_order = |(mut orphans, mut copies): (Vec<u32>, Vec<u32>)| {
            orphans.sort_unstable();
            copies.sort_unstable();
            (orphans, copies)
        };
        assert_eq!(in_order((orphans, copies)), in_order(batch::unplaced(&case.spec, &pushed)));
        assert_nothing_left(&engine);
    });
}

/// The rows that stay, as if there had been no updates.
fn finals(rows: Vec<Row>) -> Vec<Row> {
    let finals = rows.into_iter().filter(|row| row.reason != Reason::Update);
    finals.map(|row| Row { replaces: Vec::new(), ..row }).collect()
}

/// The rows that are not out yet.
fn without(mut rows: Vec<Row>, out: &[Row]) -> Vec<Row> {
    for row in out {
        let at = rows.iter().position(|other| other == row);
        rows.remove(at.unwrap_or_else(|| panic!("{row:?} has come out, but should not have")));
    }
    rows
}

/// To where an operation moves the watermark, at least.
fn watermark_after(spec: &Spec, op: &Op) -> i64 {
    match (op, spec.out_of_order) {
        (Op::Advance(time), _) => *time,
        (Op::Push(event), Some(bound)) if !is_future(spec, event) => {
            clamp(i128::from(event.time) - i128::from(bound)).min(LAST)
        }
        _ => i64::MIN,
    }
}

fn refusal(fate: Option<Fate>) -> Option<Fate> {
    fate.filter(|fate| {
        matches!(fate, Fate::Late | Fate::Future | Fate::Full | Fate::Between | Fate::Orphan | Fate::Duplicate)
    })
}

fn expected_refusal(spec: &Spec, event: &Ev) -> Option<Fate> {
    if is_future(spec, event) {
        return Some(Fate::Future);
    }
    match spec.strategy {
        Strategy::Sliding { size, slide, origin } => {
            sliding_windows(size, slide, origin, event.time).is_empty().then_some(Fate::Between)
        }
        _ => None,
    }
}

/// Two orders of arrival within the bound give the same sessions.
fn ignores_the_order_of_arrival(family: Family) {
    holds(within(family), |case| {
        let reordered = with_ties_as_in(&case.arrivals, &case.reordered);
        if case.spec.unique.is_some() && !matches!(case.spec.strategy, Strategy::Gap(_)) {
            return; // of several copies in a window, the first to arrive stays
        }
        let (first, second) = (run(&case.spec, &case.arrivals), run(&case.spec, &reordered));
        assert_eq!(ids(&first), ids(&second));
        let rows = |summaries| without_ties(finals(Reader::default().rows(summaries)));
        assert_eq!(rows(&first), rows(&second));
    });
}

/// All ids that stay: those of updates are provisional.
fn ids(summaries: &[Summary]) -> BTreeSet<SessionId> {
    summaries.iter().filter(|summary| !summary.is_update()).map(Summary::id).collect()
}

/// The second order, but with the events of one key and time as in the first: a cut rule looks at
/// neighbours, and within one time the order of arrival says who they are.
fn with_ties_as_in(first: &[Ev], second: &[Ev]) -> Vec<Ev> {
    let mut rest = first.to_vec();
    let mut take = |event: &Ev| {
        let tied = rest.iter().position(|other| (other.key, other.time) == (event.key, event.time));
        rest.remove(tied.expect("both orders have the same events"))
    };
    second.iter().map(&mut take).collect()
}

/// All summaries of a stream without clock moves of its own.
fn run(spec: &Spec, events: &[Ev]) -> Vec<Summary> {
    let mut engine = build(spec);
    let ops = events.iter().map(|event| Op::Push(*event)).chain([Op::Flush]);
    ops.flat_map(|op| step(&mut engine, &op).summaries).collect()
}

/// The part of the sessions that does not depend on the order of arrival. It leaves out which event of
/// several at one time is the first or last, and the order of sessions that end together.
fn without_ties(mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        row.members.sort_unstable();
        (row.first, row.last) = (0, 0);
    }
    rows.sort();
    rows
}

/// Where events wait for the watermark: the open sessions are those of the sorted events up to it.
fn shows_what_is_settled(family: Family) {
    holds(within(family), |case| {
        let (mut engine, mut pushed) = (build(&case.spec), Vec::new());
        for op in &case.ops {
            let step = step(&mut engine, op);
            if let Op::Push(event) = op {
                pushed.push(*event);
            }
            // Those to come stay in the list: the order of arrival is theirs too.
            let settled = |event: &Ev| if event.time <= step.now { *event } else { Ev { key: KEYS, ..*event } };
            let settled: Vec<Ev> = pushed.iter().map(settled).collect();
            let open = batch::sessions(&case.spec, &settled).into_iter();
            let gone = |deadline: i64| clamp(i128::from(deadline) + i128::from(case.spec.lateness)) <= step.now;
            let open = open.filter(|s| !gone(s.deadline) && s.row.key != KEYS);
            let open = open.map(|s| Row { reason: Reason::Flush, ..s.row }).collect::<Vec<_>>();
            assert_looks(&engine, &open);
        }
    });
}

/// Where events wait for the watermark: an open session is updated when enough of it is settled, or the clock
/// has come into another stretch; and the next summary replaces the update.
fn updates_what_is_settled(family: Family) {
    holds(within(family), |case| {
        let spec = &case.spec;
        let (mut engine, mut reader) = (build(spec), Reader::default());
        let (mut pushed, mut settled, mut watermark) = (Vec::<Ev>::new(), BTreeSet::new(), i64::MIN);
        // The latest update of each session, by its first event.
        let mut latest = BTreeMap::<u32, Vec<u32>>::new();
        for op in &case.ops {
            let rows = reader.rows(&step(&mut engine, op).summaries);
            let before = watermark;
            watermark = watermark.max(watermark_after(spec, op));
            pushed.extend(if let Op::Push(event) = op { Some(*event) } else { None });
            let mut expected = Vec::new();
            let mut update = |session: &batch::Session, is_wanted: &dyn Fn(usize) -> bool| {
                let Row { members, .. } = &session.row;
                let known = latest.get(&members[0]);
                let fresh = members.len() - known.map_or(0, Vec::len);
                if session.deadline > watermark && fresh > 0 && is_wanted(fresh) {
                    let replaces = known.into_iter().cloned().collect();
                    latest.insert(members[0], members.clone());
                    expected.push(Row { reason: Reason::Update, replaces, ..session.row.clone() });
                }
            };
            let mut arriving: Vec<usize> = (0..pushed.len()).collect();
            arriving.retain(|&i| !settled.contains(&i) && pushed[i].time <= watermark && !is_future(spec, &pushed[i]));
            arriving.sort_by_key(|&i| (pushed[i].time, i));
            // The clock moves before the event is placed that moves it.
            let is_last = |i: &usize| matches!(op, Op::Push(_)) && *i == pushed.len() - 1;
            let (last, others): (Vec<usize>, Vec<usize>) = arriving.into_iter().partition(is_last);
            for i in others {
                settled.insert(i);
                let session = session_with(pushed[i].id, sessions_of(spec, &pushed, &settled));
                session.iter().for_each(|session| update(session, &|fresh| spec.updates.are_enough(fresh)));
            }
            if spec.updates.is_due(before, watermark) {
                let mut sessions = sessions_of(spec, &pushed, &settled);
                sessions.sort_by_key(|session| session.opened);
                sessions.iter().for_each(|session| update(session, &|_| true));
            }
            for i in last {
                settled.insert(i);
                let session = session_with(pushed[i].id, sessions_of(spec, &pushed, &settled));
                session.iter().for_each(|session| update(session, &|fresh| spec.updates.are_enough(fresh)));
            }
            let (updates, finals): (Vec<Row>, _) = rows.into_iter().partition(|row| row.reason == Reason::Update);
            assert_eq!(updates, expected, "after {op:?}");
            for row in finals {
                assert_eq!(row.replaces, latest.get(&row.members[0]).into_iter().cloned().collect::<Vec<_>>());
            }
        }
    });
}

/// The session that holds an event, if one does.
fn session_with(event: u32, sessions: Vec<batch::Session>) -> Option<batch::Session> {
    sessions.into_iter().find(|session| session.row.members.contains(&event))
}

/// The sessions of the events that are settled. The others stay in the list: the order of arrival is theirs too.
fn sessions_of(spec: &Spec, pushed: &[Ev], settled: &BTreeSet<usize>) -> Vec<batch::Session> {
    let one = |(i, event): (usize, &Ev)| if settled.contains(&i) { *event } else { Ev { key: KEYS, ..*event } };
    let events: Vec<Ev> = pushed.iter().enumerate().map(one).collect();
    batch::sessions(spec, &events).into_iter().filter(|session| session.row.key != KEYS).collect()
}

// --- Any stream ---

/// Fate, rows, clock, open sessions and counters are those of the simulation, at each step.
fn equals_the_simulation(family: Family) {
    holds(wild(family), |case| {
        let (mut engine, mut reader) = (build(&case.spec), Reader::default());
        let mut simulation = Simulation::new(&case.spec);
        for op in &case.ops {
            let step = step(&mut engine, op);
            let (fate, rows) = simulation.step(op);
            assert_eq!(step.fate, fate, "{op:?}");
            assert_eq!(reader.rows(&step.summaries), rows, "{op:?}");
            assert_eq!(step.now, simulation.now(), "{op:?}");
            assert_eq!(step.open, simulation.open_sessions(), "{op:?}");
            assert_eq!(step.tally, simulation.tally(), "{op:?}");
        }
    });
}

/// At each step, the simulation has the same open sessions; a flush would emit just these.
fn shows_what_is_open(family: Family) {
    holds(wild(family), |case| {
        let (mut engine, mut simulation) = (build(&case.spec), Simulation::new(&case.spec));
        for op in &case.ops {
            let _ = (step(&mut engine, op), simulation.step(op));
            assert_looks(&engine, &simulation.look());
            let mut copy = config(&case.spec).restore(engine.snapshot()).expect("its own");
            for summary in step(&mut copy, &Op::Flush).summaries {
                let mut views = engine.sessions_of(&summary.key);
                let view = views.find(|view| view.id() == summary.id()).expect("an open session");
                assert_eq!((view.window(), view.count()), (summary.window, summary.count));
                assert_eq!(view.is_reported(), summary.revision() > 0);
            }
        }
    });
}

/// All ways of looking show just these sessions.
fn assert_looks(engine: &Subject, expected: &[Row]) {
    let sorted = |mut rows: Vec<Row>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted_rows(engine.open()), sorted(expected.to_vec()));
    assert_eq!(engine.open().map(|view| view.unreported()).sum::<u64>(), engine.counters().open_events());
    for (key, name) in (0..KEYS).zip(NAMES) {
        let views: Vec<_> = engine.sessions_of(name).map(|view| row_of(&view)).collect();
        assert!(views.is_sorted_by_key(|row| row.bucket.unwrap_or(row.first_time)), "{views:?}");
        assert_eq!(sorted(views.clone()), sorted(expected.iter().filter(|row| row.key == key).cloned().collect()));
        for row in &views {
            let at = engine.session_at(name, Timestamp::from_micros(row.last_time)).map(|view| row_of(&view));
            let holds = |other: &&Row| (other.start..other.end).contains(&row.last_time) || other.end == i64::MAX;
            assert_eq!(at.as_ref(), views.iter().find(|other| holds(other) && other.start <= row.last_time));
        }
    }
}

/// In any disorder: every event is handed back, held, open or reported, the clock never goes
/// back, and in the end each event is in the sessions where it was placed and nothing is left.
fn loses_nothing(family: Family) {
    holds(wild(family), |case| {
        let (mut engine, mut reader) = (build(&case.spec), Reader::default());
        let mut finals: Vec<Vec<u32>> = Vec::new();
        let (mut now, mut returned, mut pushed) = (i64::MIN, Vec::new(), Vec::new());
        for op in case.ops.iter().chain([&Op::Flush]) {
            let step = step(&mut engine, op);
            assert_conserved(&step.tally);
            assert!(now <= step.now, "the clock went back in {op:?}");
            now = step.now;
            if let Op::Push(event) = op {
                pushed.push(event.id);
                returned.extend(refusal(step.fate).map(|_| event.id));
            }
            returned.extend(step.orphans);
            returned.extend(step.copies);
            for row in reader.rows(&step.summaries) {
                assert_sane(&case.spec, &row);
                for earlier in &row.replaces {
                    let place = finals.iter().position(|members| members == earlier);
                    finals.remove(place.unwrap_or_else(|| panic!("replaced twice: {earlier:?}")));
                }
                finals.push(row.members);
            }
        }
        assert_nothing_left(&engine);
        let counters = engine.counters();
        if case.spec.lateness == 0 {
            assert_eq!(counters.opened, counters.closed + counters.merged, "{counters:?}");
        }
        let mut found: Vec<u32> = finals.into_iter().flatten().chain(returned).collect();
        found.sort_unstable();
        if !matches!(case.spec.strategy, Strategy::Sliding { .. }) {
            assert_eq!(found, pushed);
        }
        found.dedup();
        assert_eq!(found, pushed);
    });
}

/// A callback that panics, in a flush too, takes the session in its hand with it, and perhaps the event that was pushed.
/// Nothing else: all other sessions are found by their keys and emitted in the end, the counters add up, and the state
/// can be saved, also in portions, and restored.
fn outlives_panics(family: Family) {
    let cases = (wild(family), maybe(1_usize..4), array::uniform8(weighted(0.3)), maybe(1_usize..4));
    holds(cases, |(case, most, panics, portion)| {
        let config = || in_portions(&case.spec, most);
        let mut engine = config().build().expect("a configuration that works");
        let (mut pushed, mut found, mut calls) = (Vec::new(), Vec::new(), 0);
        let mut portions = Vec::new();
        let end = [Op::Advance(i64::MAX), Op::Flush];
        let panicking = case.ops.iter().map(|op| (op, true));
        for (op, may_panic) in panicking.chain(end.iter().map(|op| (op, false))) {
            let mut out = |summary: Summary| {
                found.extend(summary.aggregate.0);
                calls += 1;
                if may_panic && panics[calls % panics.len()] {
                    resume_unwind(Box::new(())); // without a message
                }
            };
            match (catch_unwind(AssertUnwindSafe(|| call(&mut engine, op, &mut out))), op) {
                (Ok(fate), Op::Push(event)) => {
                    pushed.push(event.id);
                    found.extend(refusal(fate).map(|_| event.id));
                }
                (Ok(_), _) => {}
                (Err(panic), _) => assert!(panic.is::<()>(), "the engine itself panics in {op:?}"),
            }
            assert!(engine.counters().is_conserved(), "{:?} after {op:?}", engine.counters());
            let restored = config().restore(engine.snapshot()).expect("its own");
            assert_eq!(restored.counters(), engine.counters(), "after {op:?}");
            let by_key = NAMES.iter().flat_map(|name| engine.sessions_of(name));
            assert_eq!(sorted_rows(by_key), sorted_rows(engine.open()), "after {op:?}");
            if let Some(size) = portion {
                if !engine.is_taking_snapshot() {
                    engine.begin_snapshot();
                }
                portions.extend(engine.next_portion(size));
                if !engine.is_taking_snapshot() {
                    let whole = Snapshot::from_portions(portions.drain(..)).expect("of one configuration");
                    let again = config().restore(whole).expect("all portions are there");
                    assert_eq!(again.counters(), engine.counters(), "after {op:?}");
                    assert_eq!(sorted_rows(again.open()), sorted_rows(restored.open()), "after {op:?}");
                }
            }
        }
        let left = engine.take_orphans().into_iter().chain(engine.take_duplicates());
        found.extend(left.map(|event| event.value.0));
        assert!(pushed.iter().all(|id| found.contains(id)), "{pushed:?} {found:?}");
        assert_nothing_left(&engine);
    });
}

fn sorted_rows<'e>(all: impl Iterator<Item = View<'e>>) -> Vec<Row> {
    let mut rows: Vec<Row> = all.map(|view| row_of(&view)).collect();
    rows.sort();
    rows
}

/// However far events are out of order: the last revisions are the sessions of the events in order of time,
/// or a counter says that they may not be.
fn is_exact_or_counted(family: Family) {
    holds(wild(family), |case| {
        let spec = Spec { most: None, ..case.spec.clone() };
        let (mut engine, mut reader) = (build(&spec), Reader::default());
        let (mut taken, mut finals) = (Vec::new(), Vec::new());
        let ops = case.ops.iter().filter(|op| !matches!(op, Op::Flush));
        for op in ops.chain([&Op::Flush]) {
            let step = step(&mut engine, op);
            if let (Op::Push(event), None) = (op, refusal(step.fate)) {
                taken.push(*event);
            }
            for row in reader.rows(&step.summaries) {
                for earlier in &row.replaces {
                    let place = finals.iter().position(|members| members == earlier);
                    finals.remove(place.expect("what is replaced has been reported"));
                }
                finals.push(row.members);
            }
        }
        let counters = engine.counters();
        let ended = engine.now() == Timestamp::MAX; // then all is late that comes
        assert!(ended || counters.behind >= counters.late + counters.uncorrected, "{counters:?}");
        let lost = counters.late + counters.late_windows + counters.orphaned;
        if lost + counters.uncorrected == 0 {
            let in_order = |mut sessions: Vec<Vec<u32>>| {
                sessions.iter_mut().for_each(|members| members.sort_unstable());
                sessions.sort();
                sessions
            };
            let expected = batch::sessions(&spec, &taken).into_iter().map(|session| session.row.members);
            assert_eq!(in_order(finals), in_order(expected.collect()), "{counters:?}");
        }
    });
}

fn assert_conserved(tally: &Tally) {
    let refused = tally.refused_future + tally.refused_full + tally.between_windows + tally.orphaned + tally.duplicates;
    assert_eq!(tally.pushed + tally.extra_windows, tally.late + refused + tally.held + tally.placed, "{tally:?}");
    assert!(tally.reported <= tally.placed, "{tally:?}");
}

fn assert_sane(spec: &Spec, row: &Row) {
    assert!(row.first_time <= row.last_time, "{row:?}");
    if matches!(spec.strategy, Strategy::Arrival { .. }) {
        assert!(row.start < row.end || row.end == i64::MAX, "{row:?}");
        return;
    }
    assert!(row.start <= row.first_time, "{row:?}");
    assert!(row.last_time < row.end || row.end == i64::MAX, "{row:?}");
    if let Strategy::Gap(gap) = &spec.strategy {
        assert_eq!(row.start, row.first_time, "{row:?}");
        let length = i128::from(row.last_time) - i128::from(row.first_time);
        // An end at the last instant means "never".
        let limited = gap.max.filter(|max| row.first_time.saturating_add(*max) < i64::MAX);
        assert!(limited.is_none_or(|max| length < max.into()), "{row:?}");
        assert!(gap.max_events.is_none_or(|max| row.members.len() <= max), "{row:?}");
    }
}

fn assert_nothing_left(engine: &Subject) {
    assert_eq!(engine.open_sessions(), 0);
    assert_eq!(engine.next_deadline(), None);
    let counters = engine.counters();
    assert_eq!((counters.held, counters.open_events()), (0, 0));
}

/// Two engines, whose hash tables are seeded differently, do the same.
fn is_deterministic(family: Family) {
    holds(wild(family), |case| {
        let run = || {
            let mut engine = build(&case.spec);
            case.ops.iter().map(|op| step(&mut engine, op)).collect::<Vec<Step>>()
        };
        assert_eq!(run(), run());
    });
}

/// A sessionizer that is saved, written as JSON and restored after every step does the same; bytes are read as written.
fn goes_on_after_snapshots(family: Family) {
    holds(wild(family), |case| {
        let (mut whole, mut resumed) = (build(&case.spec), build(&case.spec));
        for op in case.ops.iter().chain([&Op::Flush]) {
            assert_eq!(step(&mut resumed, op), step(&mut whole, op), "{op:?}");
            assert_eq!(resumed.next_deadline().is_some(), whole.next_deadline().is_some());
            let json = serde_json::to_string(&resumed.snapshot()).expect("a snapshot can be written");
            let read = serde_json::from_str(&json).expect("and read");
            resumed = config(&case.spec).restore(read).unwrap_or_else(|e| panic!("{e}: {json}"));
            let bytes = resumed.snapshot().to_bytes().expect("it has a form as bytes");
            assert_eq!(Snapshot::from_bytes(&bytes), Ok(resumed.snapshot()));
            assert_eq!(serde_json::to_string(&resumed.snapshot()).expect("again"), json);
        }
    });
}

/// Whatever is done to keep an engine, in any order, changes nothing that it emits: memory given back, the state saved
/// as bytes, in portions with calls in between, or split and joined again.
fn goes_on_after_upkeep(family: Family) {
    let upkeep = vec((0_u8..8, 1_usize..5), 1..12);
    holds((wild(family), maybe(1_usize..4), upkeep), |(case, most, upkeep)| {
        let spec = &case.spec;
        let config = || in_portions(spec, most);
        let restore = |snapshot| config().restore(snapshot).unwrap_or_else(|error| panic!("{error}"));
        let [mut left_alone, mut kept] = [(); 2].map(|()| config().build().expect("a configuration that works"));
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        let mut portions = None;
        for (op, (act, number)) in case.ops.iter().chain([&Op::Flush]).zip(upkeep.iter().cycle()) {
            match act {
                0 => kept.shrink_to_fit(),
                1 => {
                    let bytes = kept.snapshot().to_bytes().expect("it has a form as bytes");
                    (kept, portions) = (restore(Snapshot::from_bytes(&bytes).expect("as written")), None);
                }
                2 => {
                    let pieces = kept.snapshot().split(*number, |key| key.len() % number);
                    (kept, portions) = (restore(Snapshot::join(pieces).expect("of one configuration")), None);
                }
                3 => {
                    kept.begin_snapshot();
                    portions = Some(Vec::new());
                }
                4 | 5 => {
                    if let (Some(taken), Some(portion)) = (&mut portions, kept.next_portion(*number)) {
                        taken.push(portion);
                    }
                    if let Some(taken) = portions.take_if(|_| !kept.is_taking_snapshot()) {
                        kept = restore(Snapshot::from_portions(taken).expect("of one configuration"));
                    }
                }
                _ => {}
            }
            let (alone, kept) = (step(&mut left_alone, op), step(&mut kept, op));
            assert_eq!((kept.fate, kept.now), (alone.fate, alone.now), "{op:?}");
            // Sessions that a bounded call has to pass without a summary are not restored.
            if most.is_none() {
                assert_eq!(kept, alone, "{op:?}");
            }
            expected.extend(alone.summaries.into_iter().filter_map(|summary| final_of(spec, summary)));
            got.extend(kept.summaries.into_iter().filter_map(|summary| final_of(spec, summary)));
        }
        assert_eq!(got, expected);
        assert_nothing_left(&kept);
    });
}

/// A snapshot with the changes since is the snapshot of now: of the keys that events and summaries name.
fn goes_on_after_changes(family: Family) {
    holds((wild(family), maybe(1_usize..4)), |(case, most)| {
        let config = || in_portions(&case.spec, most);
        let mut engine = config().build().expect("a configuration that works");
        let (mut base, mut changes) = (engine.snapshot(), Vec::new());
        for (i, op) in case.ops.iter().chain([&Op::Flush]).enumerate() {
            let mut keys: Vec<String> = step(&mut engine, op).summaries.into_iter().map(|of| of.key).collect();
            keys.extend(if let Op::Push(event) = op { Some(lend(event).key.to_owned()) } else { None });
            let Some(change) = engine.changes(keys.iter().map(String::as_str)) else { return };
            changes.push(change);
            let now = base.clone().with_changes(changes.clone()).expect("of one configuration");
            // (Sessions that a bounded call has to pass without a summary are not restored.)
            let [again, whole] = [now, engine.snapshot()]
                .map(|snapshot| config().restore(snapshot).unwrap_or_else(|error| panic!("{error}: {op:?}")));
            assert_eq!(again.snapshot(), whole.snapshot(), "{op:?}");
            if i % 7 == 6 {
                (base, changes) = (engine.snapshot(), Vec::new());
            }
        }
    });
}

/// A snapshot in portions, with calls in between, is the state at the last of them, and goes on like it.
fn goes_on_after_portions(family: Family) {
    holds((wild(family), 0_usize..60, 1_usize..6, 1_usize..4), |(case, before, most, between)| {
        let mut engine = build(&case.spec);
        let mut ops = case.ops.iter().chain([&Op::Flush, &Op::Flush]);
        ops.by_ref().take(before).for_each(|op| _ = step(&mut engine, op));
        engine.begin_snapshot();
        let mut portions = Vec::new();
        while let Some(portion) = engine.next_portion(most) {
            portions.push(portion);
            assert!(portions.len() < 10_000, "there is a last one");
            if engine.is_taking_snapshot() {
                ops.by_ref().take(between).for_each(|op| _ = step(&mut engine, op));
            }
        }
        let whole = Snapshot::from_portions(portions).expect("of one configuration");
        let mut again = config(&case.spec).restore(whole).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((again.now(), again.counters()), (engine.now(), engine.counters()));
        for op in ops {
            assert_eq!(step(&mut again, op), step(&mut engine, op), "{op:?}");
        }
        assert_eq!(again.snapshot(), engine.snapshot());
    });
}

/// Events pushed together come to the same as one by one.
fn is_the_same_in_batches(family: Family) {
    holds((wild(family), maybe(1_usize..4)), |(case, most)| {
        let build = || in_portions(&case.spec, most).build().expect("a configuration that works");
        let (mut one_by_one, mut in_batches) = (build(), build());
        let is_push = |op: &Op| matches!(op, Op::Push(_));
        for ops in case.ops.chunk_by(|a, b| is_push(a) && is_push(b)) {
            let expected: Vec<Step> = ops.iter().map(|op| step(&mut one_by_one, op)).collect();
            let events: Vec<_> =
                ops.iter().filter_map(|op| if let Op::Push(event) = op { Some(lend(event)) } else { None }).collect();
            let mut summaries = Vec::new();
            let returned = if events.is_empty() {
                summaries.extend(step(&mut in_batches, &ops[0]).summaries);
                Vec::new()
            } else {
                let returned = in_batches.push_batch(&events, &mut |summary| summaries.push(summary));
                returned.into_iter().map(|(i, _)| i).collect()
            };
            let refused: Vec<_> = (0..expected.len()).filter(|i| refusal(expected[*i].fate).is_some()).collect();
            assert_eq!(returned, refused);
            assert_eq!(summaries, expected.into_iter().flat_map(|step| step.summaries).collect::<Vec<_>>());
            assert_eq!(in_batches.counters(), one_by_one.counters());
            assert_eq!(in_batches.now(), one_by_one.now());
        }
    });
}

/// A push leads to the sessions that hold the event, also in batches, and changes nothing else.
fn tags_every_event(family: Family) {
    holds(wild(family), |case| {
        let [mut plain, mut tagging, mut in_batches] = [(); 3].map(|()| build(&case.spec));
        let mut expected = Vec::new();
        for op in case.ops.iter().chain([&Op::Flush]) {
            let Op::Push(event) = op else {
                let tags: Vec<Vec<SessionId>> = tags_of_batch(&mut in_batches, &mut Vec::new(), &expected);
                assert_eq!(tags, expected.drain(..).map(|(_, tags)| tags).collect::<Vec<_>>());
                let steps = [&mut plain, &mut tagging, &mut in_batches].map(|engine| step(engine, op).summaries);
                assert!(steps.iter().all(|summaries| *summaries == steps[0]));
                continue;
            };
            let (mut closed, mut summaries) = (Vec::new(), Vec::new());
            let pushed = plain.push(lend(event), &mut |summary| closed.push(summary));
            let tagged = tagging.push_tagged(lend(event), &mut |summary| summaries.push(summary));
            assert_eq!((tagged.pushed(), &summaries), (&pushed, &closed));
            // A sliding window may hold a copy of the event in its place.
            let may_hold_copy = case.spec.unique.is_some() && matches!(case.spec.strategy, Strategy::Sliding { .. });
            let holds_it = |view: &View<'_>| may_hold_copy || row_of(view).members.contains(&event.id);
            let tags: Vec<_> =
                tagged.sessions().inspect(|view| assert!(holds_it(view))).map(|view| view.id()).collect();
            if may_hold_copy {
                assert!(tagged.session().is_none_or(|view| tags.contains(&view.id())));
            } else {
                assert_eq!(
                    tagged.session().map(|view| (holds_it(&view), view.id())),
                    tags.last().map(|id| (true, *id))
                );
                assert_eq!(plain.open().filter(holds_it).count(), tags.len());
            }
            let is_placed = matches!(pushed, Pushed::Opened | Pushed::Extended | Pushed::Merged);
            if is_placed && tags.is_empty() {
                let last = closed.last().expect("its session closed at once");
                assert!(last.aggregate.0.contains(&event.id), "{last:?}");
            }
            assert!(is_placed || tags.is_empty());
            expected.push((*event, tags));
        }
        assert_eq!(tagging.counters(), plain.counters());
    });
}

/// The tags of events that are pushed together.
fn tags_of_batch(engine: &mut Subject, out: &mut Vec<Summary>, events: &[(Ev, Vec<SessionId>)]) -> Vec<Vec<SessionId>> {
    let events: Vec<_> = events.iter().map(|(event, _)| lend(event)).collect();
    let mut tags = Vec::new();
    engine.push_batch_tagged(&events, &mut |summary| out.push(summary), |i, tagged| {
        assert_eq!(i, tags.len());
        tags.push(tagged.sessions().map(|view| view.id()).collect());
    });
    tags
}

/// Several shards agree with one engine: each emits that engine's sessions of its own keys, in order.
fn is_the_same_in_shards(family: Family) {
    holds((wild(family), 1_usize..4, 0_usize..5), |(case, shards, restored_at)| {
        let spec = Spec { most: None, ..case.spec.clone() };
        let emitted: Vec<_> = (0..shards).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
        let outputs = || {
            emitted.iter().map(|emitted: &Arc<Mutex<Vec<Summary>>>| {
                let emitted = Arc::clone(emitted);
                move |summary| emitted.lock().expect("no test fails in it").push(summary)
            })
        };
        let (mut engine, mut sharded) = (build(&spec), Sharded::new(outputs(), || config(&spec)).expect("the same"));
        let is_push = |op: &Op| matches!(op, Op::Push(event) if event.id % 7 != 0);
        let flush = [Op::Flush];
        let mut orphans = Vec::new();
        for (i, ops) in case.ops.chunk_by(|a, b| is_push(a) && is_push(b)).chain([&flush[..]]).enumerate() {
            let expected: Vec<Step> = ops.iter().map(|op| step(&mut engine, op)).collect();
            orphans.extend(expected.iter().flat_map(|step| step.orphans.iter().copied()));
            let events: Vec<_> =
                ops.iter().filter_map(|op| if let Op::Push(event) = op { Some(lend(event)) } else { None }).collect();
            match (&ops[0], &events[..]) {
                (_, [_, _, ..]) => {
                    let returned = sharded.push_batch(&events);
                    assert_eq!(returned.len(), expected.iter().filter(|step| refusal(step.fate).is_some()).count());
                }
                (Op::Push(event), _) => {
                    let returned = sharded.push(lend(event)).is_returned();
                    assert_eq!(returned, refusal(expected[0].fate).is_some());
                }
                (Op::Advance(time), _) => sharded.advance_to(Timestamp::from_micros(*time)),
                (Op::Flush, _) => sharded.flush(),
            }
            let expected: Vec<Summary> = expected.into_iter().flat_map(|step| step.summaries).collect();
            for (shard, emitted) in emitted.iter().enumerate() {
                let emitted = std::mem::take(&mut *emitted.lock().expect("no test fails in it"));
                let is_own = |summary: &&Summary| sharded.shard_of(&summary.key) == shard;
                assert_eq!(emitted, expected.iter().filter(is_own).cloned().collect::<Vec<_>>());
            }
            assert_eq!((sharded.counters(), sharded.now()), (engine.counters(), engine.now()));
            assert_eq!(sharded.open_sessions(), engine.open_sessions());
            for name in NAMES {
                let looks = |view: OpenSession<'_, _, _, _>| (view.id(), view.window(), view.count());
                let (theirs, ours) = (sharded.sessions_of(name).map(looks), engine.sessions_of(name).map(looks));
                assert!(theirs.eq(ours), "{name}");
            }
            assert_eq!(sharded.open().count(), engine.open().count());
            if i % 5 == restored_at {
                sharded = Sharded::restore(outputs(), || config(&spec), sharded.snapshot()).expect("its own");
            }
        }
        let mut theirs: Vec<u32> = sharded.take_orphans().into_iter().map(|event| event.value.0).collect();
        theirs.sort_unstable();
        orphans.sort_unstable();
        assert_eq!(theirs, orphans);
    });
}

/// With a bound on the sessions that one call emits, the same sessions are emitted in the same order, only later; also
/// if the state is saved and restored while sessions wait.
fn is_the_same_in_portions(family: Family) {
    holds((wild(family), 1_usize..4, 0_usize..5), |(case, most, restored_at)| {
        let in_portions = || in_portions(&case.spec, Some(most));
        let (mut whole, mut in_small) = (build(&case.spec), in_portions().build().expect("the same but for the bound"));
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        for (i, op) in case.ops.iter().chain([&Op::Flush]).enumerate() {
            let (at_once, small) = (step(&mut whole, op), step(&mut in_small, op));
            assert_eq!((small.fate, small.now), (at_once.fate, at_once.now), "{op:?}");
            expected.extend(at_once.summaries.into_iter().filter_map(|summary| final_of(&case.spec, summary)));
            got.extend(small.summaries.into_iter().filter_map(|summary| final_of(&case.spec, summary)));
            assert_eq!(got[..], expected[..got.len()], "{op:?}");
            let is_behind = got.len() < expected.len();
            assert_conserved(&small.tally);
            assert!(!is_behind || in_small.next_deadline().is_some_and(|deadline| deadline <= in_small.now()));
            if i % 5 == restored_at {
                in_small = in_portions().restore(in_small.snapshot()).expect("its own");
            }
        }
        assert_eq!(got, expected);
        assert_eq!(Tally { updates: 0, ..tally(in_small.counters()) }, Tally { updates: 0, ..tally(whole.counters()) });
        assert_nothing_left(&in_small);
    });
}

/// A configuration, with a bound on the sessions that one call emits.
fn in_portions(spec: &Spec, most: Option<usize>) -> stagger::Config<Key, Value, All> {
    match most {
        Some(most) => config(spec).close_at_most(most),
        None => config(spec),
    }
}

/// A final summary, as if there had been no updates: of those, a bounded call may leave some out.
fn final_of(spec: &Spec, summary: Summary) -> Option<Summary> {
    match () {
        () if spec.updates == Updates::default() => Some(summary),
        () if summary.is_update() => None,
        () => Some(summary.with_revision(0, Vec::new())),
    }
}

/// A state split by key goes on apart with the same sessions, and joined again as if never split.
fn goes_on_in_pieces(family: Family) {
    holds(wild(family), |case| {
        // A bound on open sessions looks at all keys, so pieces have one each; and the clock of a
        // piece only sees the events of its own keys, so it is moved along.
        let spec = Spec { most: None, ..case.spec.clone() };
        let (before, after) = case.ops.split_at(case.ops.len() / 2);
        let mut whole = build(&spec);
        for op in before {
            let _ = step(&mut whole, op);
        }
        let piece_of = |key: &str| key.len() % 3;
        let pieces = whole.snapshot().split(3, piece_of);
        let mut joined =
            config(&spec).restore(Snapshot::join(pieces.clone()).expect("one configuration")).expect("whole again");
        assert_eq!(joined.counters(), whole.counters());
        let mut apart: Vec<_> = pieces.into_iter().map(|p| config(&spec).restore(p).expect("a piece")).collect();
        let (mut from_pieces, mut from_whole) = (Vec::new(), Vec::new());
        for op in after.iter().chain([&Op::Flush]) {
            let expected = step(&mut whole, op);
            assert_eq!(step(&mut joined, op), expected, "{op:?}");
            from_whole.extend(expected.summaries);
            for (i, piece) in apart.iter_mut().enumerate() {
                if !matches!(op, Op::Push(event) if piece_of(lend(event).key) != i) {
                    from_pieces.extend(step(piece, op).summaries);
                }
                if piece.now().as_micros() < expected.now {
                    from_pieces.extend(step(piece, &Op::Advance(expected.now)).summaries);
                }
                assert!(piece.counters().is_conserved());
            }
        }
        let in_order = |mut summaries: Vec<Summary>| {
            summaries.sort_by_key(|summary| (summary.id(), summary.revision()));
            summaries
        };
        assert_eq!(in_order(from_pieces), in_order(from_whole));
    });
}

/// A key whose events come alone has the same summaries under the same ids, if the clock goes the same
/// way: in any disorder, and wherever its state is saved and restored.
fn ids_tell_of_their_key_alone(family: Family) {
    holds((wild(family), 0_usize..7), |(case, restored_at)| {
        let spec = Spec { most: None, ..case.spec.clone() }; // a bound looks at all keys
        let mut together = build(&spec);
        let mut alone: Vec<Subject> = (0..KEYS).map(|_| build(&spec)).collect();
        for (i, op) in case.ops.iter().chain([&Op::Flush]).enumerate() {
            let expected = step(&mut together, op);
            for (key, engine) in (0..KEYS).zip(&mut alone) {
                let own = match op {
                    // To reach the end of time is the caller's act, which no event does.
                    Op::Push(event) if event.key != key => Op::Advance(expected.now.min(LAST)),
                    own => *own,
                };
                let of_key = expected.summaries.iter().filter(|summary| summary.key == NAMES[usize::from(key)]);
                assert_eq!(step(engine, &own).summaries, of_key.cloned().collect::<Vec<_>>(), "{op:?}");
                if i % 7 == restored_at {
                    *engine = config(&spec).restore(engine.snapshot()).expect("its own");
                }
            }
        }
    });
}

/// Sessions are told apart by their ids also if the settings change on the way.
fn ids_differ_after_other_settings(family: Family) {
    let changed = (0_i64..40, array::uniform6(maybe(0_i64..40)), any::<bool>(), 1_i64..20);
    holds((wild(family), changed), |(case, (gap, per_kind, has_own, lateness))| {
        let mut spec = case.spec.clone();
        let mut engine = build(&spec);
        let mut reader = Reader::default();
        let (before, after) = case.ops.split_at(case.ops.len() / 2);
        for op in before {
            reader.rows(&step(&mut engine, op).summaries);
        }
        let Strategy::Gap(rules) = &mut spec.strategy else { panic!("another strategy") };
        let scale = rules.gap.clamp(1, i64::MAX / 40);
        rules.gap = gap.max(1) * scale;
        rules.per_kind = has_own.then(|| per_kind.map(|own| own.map(|own| own * scale)));
        spec.lateness = lateness;
        engine = config(&spec).restore_changed(engine.snapshot()).expect("all of them may change");
        for op in after.iter().chain([&Op::Flush]) {
            let json = serde_json::to_string(&engine.snapshot()).expect("a snapshot can be written");
            engine = config(&spec).restore(serde_json::from_str(&json).expect("and read")).expect("its own");
            reader.rows(&step(&mut engine, op).summaries);
        }
    });
}

/// Sessions are told apart by their ids also if the bounds change on the way, twice: the one on open sessions,
/// lateness and updates.
fn ids_differ_after_other_bounds(family: Family) {
    let bounds = || (maybe(0_i64..16), maybe((1_usize..6, any::<bool>())), maybe(1_usize..5));
    holds((wild(family), bounds(), bounds()), |(case, first, second)| {
        let mut spec = case.spec.clone();
        let mut engine = build(&spec);
        let mut reader = Reader::default();
        let times = || case.ops.iter().filter_map(|op| if let Op::Push(event) = op { Some(event.time) } else { None });
        let (earliest, latest) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let scale = latest.saturating_sub(earliest) / 32 + 1;
        let windows = match spec.strategy {
            Strategy::Sliding { size, slide, .. } => (size / slide) as usize + 1,
            _ => 0,
        };
        let third = case.ops.len() / 3;
        for (i, op) in case.ops.iter().chain([&Op::Flush]).enumerate() {
            reader.rows(&step(&mut engine, op).summaries);
            let (lateness, most, events) = match i {
                _ if i == third => first,
                _ if i == 2 * third + 1 => second,
                _ => continue,
            };
            let is_on_arrival = matches!(spec.strategy, Strategy::Arrival { .. });
            if let Some(lateness) = lateness.filter(|_| !is_on_arrival) {
                spec.lateness = lateness.saturating_mul(scale).max(i64::from(spec.lateness > 0));
            }
            let when_full = |refuses| if refuses { WhenFull::Refuse } else { WhenFull::CloseOldest };
            spec.most = most.map(|(most, refuses)| (most + windows, when_full(refuses)));
            spec.updates.events = events;
            engine = config(&spec).restore_changed(engine.snapshot()).expect("all of them may change");
        }
    });
}

/// The queue and the iterators give the sessions that the callback gives.
fn is_the_same_in_every_form(family: Family) {
    holds(wild(family), |case| {
        let events: Vec<Ev> =
            case.ops.iter().filter_map(|op| if let Op::Push(e) = op { Some(*e) } else { None }).collect();
        let (mut engine, mut queued) = (build(&case.spec), Queued::new(build(&case.spec)));
        let mut expected = Vec::new();
        for event in &events {
            let mut closed = Vec::new();
            let pushed = engine.push(lend(event), &mut |summary| closed.push(summary));
            assert_eq!(queued.push(lend(event)), pushed);
            assert_eq!(queued.ready(), closed.len());
            assert_eq!(std::iter::from_fn(|| queued.poll()).collect::<Vec<_>>(), closed);
            expected.extend(closed.into_iter().map(Output::Session));
            match pushed {
                Pushed::Late(event) => expected.push(Output::Late(event)),
                Pushed::Refused(event, why) => expected.push(Output::Refused(event, why)),
                _ => {}
            }
        }
        engine.flush(&mut |summary| expected.push(Output::Session(summary)));
        let lent: Vec<_> = events.iter().map(lend).sessionize_refs(build(&case.spec)).collect();
        assert_eq!(lent, expected);
        let own = |event: &Ev| {
            let Event { key, event_time, arrival_time, value } = lend(event);
            Event { key: key.to_owned(), event_time, arrival_time, value }
        };
        let owned: Vec<_> = events.iter().map(own).sessionize(build(&case.spec)).collect();
        assert_eq!(owned.len(), expected.len());
        let sessions = |session: Output<Summary, _>| session.session();
        let from_lent: Vec<_> = lent.into_iter().filter_map(Output::session).collect();
        assert_eq!(owned.into_iter().filter_map(sessions).collect::<Vec<_>>(), from_lent);
    });
}

/// Until the next deadline nothing comes out, and going from deadline to deadline closes everything.
fn tells_its_deadlines(family: Family) {
    holds(wild(family), |case| {
        let mut engine = build(&case.spec);
        for op in &case.ops {
            let before = engine.next_deadline();
            if let (Op::Advance(time), Some(deadline)) = (op, before) {
                let almost = (*time).min(deadline.as_micros().saturating_sub(1));
                assert_eq!(step(&mut engine, &Op::Advance(almost)).summaries, [], "{deadline:?}");
            }
            let _ = step(&mut engine, op);
            let something = engine.open_sessions() > 0 || engine.counters().held > 0;
            assert_eq!(engine.next_deadline().is_some(), something, "{op:?}");
        }
        let mut before = None;
        while let Some(deadline) = engine.next_deadline() {
            assert!(before.is_none_or(|before| before < deadline), "{before:?} {deadline:?}");
            let _ = step(&mut engine, &Op::Advance(deadline.as_micros()));
            before = Some(deadline);
        }
        assert_eq!(engine.open_sessions(), 0);
    });
}
