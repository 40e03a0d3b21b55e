//! Many partitions, counted: the cost of one does not depend on the number of others.
//!
//! docs/SCALE.md multiplies the cost of a partition by the number of partitions. That is right as long as nothing
//! is shared by all of them: this counts events, sessions and bytes of few partitions and of many.

use std::collections::BTreeMap;
use std::time::Duration;

use stagger::{Changes, Config, Engine, Event, Gap, SessionId, SessionSummary, Snapshot, Timestamp, partition_of};

type Partition = Engine<u64, u64>;

const USERS_EACH: u64 = 300;
const ROUNDS: i64 = 3;
/// Of users whose numbers are all written in as many bytes.
const FIRST_USER: u64 = 1 << 32;

fn setup() -> Config<u64, u64> {
    // All partitions follow one watermark, so that sessions can be compared one by one.
    Config::new(Gap::new(Duration::from_secs(1_800)))
}

/// Engines that know nothing of each other.
struct Cluster {
    partitions: Vec<Partition>,
    sessions: BTreeMap<SessionId, (u64, u64)>,
}

/// The cost of the costliest partition.
#[derive(Debug, Default, PartialEq)]
struct Cost {
    events: u64,
    sessions: usize,
    snapshot: usize,
    changes: usize,
    portions: usize,
}

impl Cluster {
    fn new(partitions: usize) -> Self {
        let partitions = (0..partitions).map(|_| setup().build().expect("a configuration that works")).collect();
        Self { partitions, sessions: BTreeMap::new() }
    }

    fn partition_of(&self, user: u64) -> usize {
        partition_of(user, self.partitions.len())
    }

    fn push(&mut self, user: u64, second: i64) {
        let i = self.partition_of(user);
        let before = self.partitions[i].counters().pushed;
        let event = Event::new(user, Timestamp::from_secs(second), user);
        assert!(!self.partitions[i].push(event, &mut |_| {}).is_returned());
        assert_eq!(self.partitions[i].counters().pushed, before + 1);
    }

    fn push_all(&mut self, users: u64) {
        for round in 0..ROUNDS {
            (0..users).for_each(|user| self.push(FIRST_USER + user, round * 600 + (user % 600) as i64));
        }
    }

    fn advance(&mut self, second: i64) {
        let Self { partitions, sessions } = self;
        for partition in partitions {
            partition.advance_to(Timestamp::from_secs(second), &mut |session: SessionSummary<u64, u64>| {
                let is_new = sessions.insert(session.id(), (session.key, session.count)).is_none();
                assert!(is_new, "no id is given twice");
            });
        }
    }

    /// The greatest cost of any partition, each for itself.
    fn cost(&mut self) -> Cost {
        let mut most = Cost::default();
        for partition in &mut self.partitions {
            let changed: Vec<u64> =
                partition.open().map(|session| *session.key()).filter(|key| key % 100 == 7).collect();
            let changes = partition.changes(changed).expect("nothing is held");
            partition.begin_snapshot();
            let portions = std::iter::from_fn(|| partition.next_portion(50)).count();
            most.events = most.events.max(partition.counters().pushed);
            most.sessions = most.sessions.max(partition.open_sessions());
            most.snapshot = most.snapshot.max(bytes_of(partition).len());
            most.changes = most.changes.max(changes.to_bytes().expect("integers can be written").len());
            most.portions = most.portions.max(portions);
        }
        most
    }
}

fn bytes_of(partition: &Partition) -> Vec<u8> {
    partition.snapshot().to_bytes().expect("integers can be written")
}

#[test]
fn what_a_partition_costs_does_not_grow_with_their_number() {
    let costs = [10, 1_000].map(|partitions| {
        let mut cluster = Cluster::new(partitions);
        cluster.push_all(USERS_EACH * partitions as u64);
        let pushed: u64 = cluster.partitions.iter().map(|partition| partition.counters().pushed).sum();
        assert_eq!(pushed, ROUNDS as u64 * USERS_EACH * partitions as u64, "each event goes to one of them");
        cluster.cost()
    });
    let [few, many] = &costs;
    println!("of 10: {few:?}\nof 1,000: {many:?}");
    // Keys are spread by a hash: of a thousand partitions the fullest has about 3.3 standard deviations more than the
    // mean, of ten 1.5.
    let is_alike = |few: usize, many: usize| many * 10 <= few * 13;
    assert!(is_alike(few.events as usize, many.events as usize), "{costs:?}");
    assert!(is_alike(few.sessions, many.sessions), "{costs:?}");
    assert!(is_alike(few.snapshot, many.snapshot), "{costs:?}");
    assert!(is_alike(few.portions, many.portions), "{costs:?}");
    assert!(many.changes < many.snapshot / 3, "{costs:?}");
}

#[test]
fn sessions_and_their_ids_do_not_depend_on_the_number_of_partitions() {
    let runs = [1, 7, 300].map(|partitions| {
        let mut cluster = Cluster::new(partitions);
        cluster.push_all(3_000);
        cluster.advance(100_000);
        cluster.sessions
    });
    assert_eq!(runs[0].len(), 3_000);
    assert!(runs[0] == runs[1] && runs[1] == runs[2]);
}

/// A machine is lost: its partitions are restored from their bytes alone, and no other one is asked for anything.
#[test]
fn partitions_that_move_bring_their_state_and_touch_no_other() {
    let (machines, each) = (50, 8);
    let [mut cluster, mut undisturbed] = [(); 2].map(|()| Cluster::new(machines * each));
    for cluster in [&mut cluster, &mut undisturbed] {
        cluster.push_all(20_000);
    }
    let saved: Vec<Vec<u8>> = cluster.partitions.iter().map(bytes_of).collect();
    // After the checkpoint some users click, whose changes are saved too.
    let clicks: Vec<u64> = (0..20_000).step_by(97).collect();
    let mut changes: Vec<Vec<Vec<u8>>> = vec![Vec::new(); machines * each];
    for user in clicks {
        for cluster in [&mut cluster, &mut undisturbed] {
            cluster.push(FIRST_USER + user, 1_900);
        }
        let i = cluster.partition_of(FIRST_USER + user);
        let changed = cluster.partitions[i].changes([FIRST_USER + user]).expect("nothing is held");
        changes[i].push(changed.to_bytes().expect("integers can be written"));
    }
    let untouched: Vec<_> = cluster.partitions.iter().map(|partition| partition.counters()).collect();
    let (lost, mut read) = (8..16, 0);
    for i in lost.clone() {
        let base = Snapshot::from_bytes(&saved[i]).expect("as it was written");
        let later = changes[i].iter().map(|bytes| Changes::from_bytes(bytes).expect("as it was written"));
        let whole = base.with_changes(later).expect("of one engine");
        cluster.partitions[i] = setup().restore(whole).expect("the same configuration");
        read += saved[i].len() + changes[i].iter().map(Vec::len).sum::<usize>();
    }
    let now: Vec<_> = cluster.partitions.iter().map(|partition| partition.counters()).collect();
    assert_eq!(now, untouched);
    let all = saved.iter().map(Vec::len).sum::<usize>() + changes.iter().flatten().map(Vec::len).sum::<usize>();
    println!("read {read} of {all} bytes for {} of {} partitions", lost.len(), machines * each);
    assert!(read * machines < all * 2, "a fiftieth of the state, and not twice that");
    for cluster in [&mut cluster, &mut undisturbed] {
        cluster.advance(100_000);
    }
    assert_eq!(cluster.sessions, undisturbed.sessions);
}
