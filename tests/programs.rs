//! Short programs as a user of the library would write them, from README and rustdoc alone. Each gives
//! just the sessions that one engine finds in the whole stream.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use stagger::{Config, Engine, Event, EventRef, Gap, SessionId, SessionSummary, Timestamp};

type Outcome<T> = Result<T, Box<dyn Error>>;
type Click = Event<String, u64>;
type Sessions = Vec<SessionSummary<String, u64>>;

/// A click of one of some users each second, up to four seconds out of order.
fn clicks() -> Vec<Click> {
    let mut clicks: Vec<Click> = (0..600)
        .map(|n| {
            let user = format!("user {}", n * n % 23);
            Event::new(user, Timestamp::from_secs(1_700_000_000 + n as i64 * 3), n)
        })
        .collect();
    clicks.sort_by_key(|click| click.event_time + Duration::from_secs(click.value * 7 % 5));
    clicks
}

fn config() -> Config<String, u64> {
    Config::new(Gap::new(Duration::from_secs(60)))
}

const DISORDER: Duration = Duration::from_secs(5);

/// The sessions of one engine.
fn expected() -> BTreeSet<(SessionId, u64)> {
    let mut engine = config().out_of_order(DISORDER).build().expect("a gap");
    let mut sessions = BTreeSet::new();
    let mut take = |session: SessionSummary<String, u64>| assert!(sessions.insert((session.id(), session.count)));
    clicks().iter().for_each(|click| assert!(!engine.push(click.as_event_ref(), &mut take).is_returned()));
    engine.flush(&mut take);
    sessions
}

/// A function that is called with a batch of events, and keeps its state elsewhere between two calls.
mod lambda {
    use super::*;

    fn handle(state: Option<&[u8]>, batch: &[Click]) -> Outcome<(Vec<u8>, Sessions)> {
        let config = config().out_of_order(DISORDER);
        let mut engine = match state {
            Some(state) => config.restore(serde_json::from_slice(state)?)?,
            None => config.build()?,
        };
        let mut closed = Vec::new();
        for click in batch {
            if let Some(late) = engine.push(click.as_event_ref(), &mut |session| closed.push(session)).returned() {
                eprintln!("{late:?}");
            }
        }
        Ok((serde_json::to_vec(&engine.snapshot())?, closed))
    }

    #[test]
    fn a_lambda_goes_on_from_its_last_call() -> Outcome<()> {
        let (mut state, mut found) = (None, BTreeSet::new());
        for batch in clicks().chunks(50) {
            let (next, closed) = handle(state.as_deref(), batch)?;
            found.extend(closed.iter().map(|session| (session.id(), session.count)));
            state = Some(next);
        }
        let last = config().out_of_order(DISORDER).restore(serde_json::from_slice(&state.unwrap_or_default())?)?;
        let mut last: Engine<String, u64> = last;
        last.flush(&mut |session| _ = found.insert((session.id(), session.count)));
        assert_eq!(found, expected());
        Ok(())
    }
}

/// A consumer of several partitions, that commits offsets and state as one and is killed now and then.
mod consumer {
    use super::*;
    use stagger::{Snapshot, SourceId, WatermarkMerger, partition_of};

    const PARTITIONS: usize = 3;

    #[derive(Clone)]
    struct Committed {
        offsets: [usize; PARTITIONS],
        sources: WatermarkMerger,
        state: Snapshot<String, u64>,
        rows: BTreeMap<SessionId, u64>,
    }

    struct Consumer {
        engine: Engine<String, u64>,
        ids: Vec<SourceId>,
        at: Committed,
    }

    impl Consumer {
        fn start(committed: Committed, ids: &[SourceId]) -> Outcome<Self> {
            let engine = config().restore(committed.state.clone())?;
            Ok(Self { engine, ids: ids.to_vec(), at: committed })
        }

        /// Reads one record.
        fn poll(&mut self, partition: usize, log: &[Click]) -> bool {
            let Some(click) = log.get(self.at.offsets[partition]) else { return false };
            self.at.offsets[partition] += 1;
            let Self { engine, at, .. } = self;
            let rows = &mut at.rows;
            let mut write = |session: SessionSummary<String, u64>| _ = rows.insert(session.id(), session.count);
            let pushed = engine.push(click.as_event_ref(), &mut write);
            assert!(!pushed.is_returned());
            at.sources.observe(self.ids[partition], click.event_time, click.event_time);
            engine.advance_to(at.sources.watermark(), &mut write);
            true
        }

        fn commit(&mut self) -> Committed {
            self.at.state = self.engine.snapshot();
            self.at.clone()
        }
    }

    #[test]
    fn a_consumer_that_is_killed_writes_each_session_once() -> Outcome<()> {
        let mut logs: [Vec<Click>; PARTITIONS] = Default::default();
        clicks().into_iter().for_each(|click| logs[partition_of(&*click.key, PARTITIONS)].push(click));
        let mut sources = WatermarkMerger::new(DISORDER);
        let ids: Vec<SourceId> = logs.iter().map(|_| sources.add()).collect();
        let state = config().build()?.snapshot();
        let mut committed = Committed { offsets: [0; PARTITIONS], sources, state, rows: BTreeMap::new() };
        let mut consumer = Consumer::start(committed.clone(), &ids)?;
        for turn in 0.. {
            let any = (0..PARTITIONS).filter(|partition| consumer.poll(*partition, &logs[*partition])).count();
            match turn % 7 {
                3 => committed = consumer.commit(),
                6 if turn % 3 == 0 => consumer = Consumer::start(committed.clone(), &ids)?, // killed
                _ if any == 0 => break,
                _ => {}
            }
        }
        let Consumer { mut engine, mut at, .. } = consumer;
        engine.flush(&mut |session| _ = at.rows.insert(session.id(), session.count));
        assert_eq!(at.rows.into_iter().collect::<BTreeSet<_>>(), expected());
        Ok(())
    }
}

/// Types of one's own, and three rules that end a visit.
mod own_types {
    use super::*;
    use stagger::aggregate::Sum;
    use stagger::calendar::FixedOffset;
    use stagger::{Bucket, ByRef, CloseReason, EventFn, Unit};

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Visitor {
        site: String,
        device: u64,
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Page {
        path: &'static str,
        campaign: Option<&'static str>,
        cents: u32,
    }

    type Cents = Sum<EventFn<ByRef<Visitor>, ByRef<Page>, u32>, u32>;

    struct Shop {
        visits: Engine<ByRef<Visitor>, ByRef<Page>, Cents>,
    }

    impl Shop {
        fn new() -> Outcome<Self> {
            let midnight = Bucket::floor(Unit::Day).zone(FixedOffset::east(3_600));
            let cents: Cents = Sum::of(|event| event.value.cents);
            let visits =
                Config::<ByRef<Visitor>, ByRef<Page>>::new(Gap::new(Duration::from_secs(1_800)).cut_between(midnight))
                    .cut("another campaign", |before, after| {
                        after.value.campaign.is_some() && after.value.campaign != before.value.campaign
                    })
                    .end_at("paid", |event| event.value.path == "/paid")
                    .aggregate(cents)
                    .build()?;
            Ok(Self { visits })
        }
    }

    #[test]
    fn three_rules_end_visits_of_ones_own_types() -> Outcome<()> {
        let ann = Visitor { site: "beer".into(), device: 7 };
        let page = |path, campaign, cents| Page { path, campaign, cents };
        let pages = [
            ("2026-03-01T22:58:00Z", page("/", None, 0)),
            ("2026-03-01T23:01:00Z", page("/stout", None, 300)), // midnight was at 23:00 UTC
            ("2026-03-01T23:02:00Z", page("/ale", Some("spring"), 200)),
            ("2026-03-01T23:03:00Z", page("/paid", None, 50)),
            ("2026-03-01T23:03:30Z", page("/", None, 0)),
        ];
        let mut shop = Shop::new()?;
        let mut found = Vec::new();
        let mut note = |visit: SessionSummary<ByRef<Visitor>, ByRef<Page>, i128>| {
            assert_eq!(visit.key.0.device, 7);
            found.push((visit.count, visit.aggregate, visit.reason));
        };
        for (time, page) in &pages {
            let event: EventRef<'_, ByRef<Visitor>, ByRef<Page>> = Event::new(&ann, time.parse()?, page);
            assert!(!shop.visits.push(event, &mut note).is_returned());
        }
        // Up to the last event all is known: else every session would be one that the flush has ended.
        shop.visits.advance_to(pages[4].0.parse()?, &mut note);
        shop.visits.flush(&mut note);
        let reasons = [CloseReason::CutBetween, CloseReason::Cut, CloseReason::EndEvent, CloseReason::Flush];
        assert_eq!(found.iter().map(|(.., reason)| *reason).collect::<Vec<_>>(), reasons);
        assert_eq!(
            found.iter().map(|(count, cents, _)| (*count, *cents)).collect::<Vec<_>>(),
            [(1, 0), (1, 300), (2, 250), (1, 0)]
        );
        Ok(())
    }
}

/// One engine, then three, then one again: the clock of all is one watermark.
mod rescaling {
    use super::*;
    use stagger::{Snapshot, partition_of};

    fn run(engines: &mut [Engine<String, u64>], clicks: &[Click], found: &mut BTreeSet<(SessionId, u64)>) {
        let mut take = |session: SessionSummary<String, u64>| assert!(found.insert((session.id(), session.count)));
        for click in clicks {
            let one = partition_of(&*click.key, engines.len());
            assert!(!engines[one].push(click.as_event_ref(), &mut take).is_returned());
            engines.iter_mut().for_each(|engine| engine.advance_to(click.event_time - DISORDER, &mut take));
        }
    }

    #[test]
    fn from_one_to_three_and_back_no_session_and_no_id_changes() -> Outcome<()> {
        let (clicks, mut found) = (clicks(), BTreeSet::new());
        let mut engines = vec![config().build()?];
        run(&mut engines, &clicks[..200], &mut found);
        let pieces = engines[0].snapshot().split(3, |user| partition_of(user, 3));
        engines = pieces.into_iter().map(|piece| config().restore(piece)).collect::<Result<_, _>>()?;
        run(&mut engines, &clicks[200..400], &mut found);
        engines = vec![config().restore(Snapshot::join(engines.iter().map(Engine::snapshot))?)?];
        run(&mut engines, &clicks[400..], &mut found);
        engines[0].flush(&mut |session| assert!(found.insert((session.id(), session.count))));
        assert_eq!(found, expected());
        Ok(())
    }
}
