//! Under any faults of the processes of a group, a reader of committed rows sees the rows of one undisturbed process.
//!
//! `KAFKA_KILLS=1000 cargo test --release -p kafka --test faults -- --nocapture` runs for longer than by default, and
//! `KAFKA_BROKER_KILLS=100` kills the broker more often.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{Kafka, Worker};
use program::testing::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

const RULES: [&str; 6] = ["--gap", "5m", "--step", "30s", "--stagger", "floor=minute/90s"];
const TIMEOUT: Duration = Duration::from_secs(2);
const PROCESSES: usize = 4;

/// Four processes, to which something happens at every step while records flow.
struct Faults<'a> {
    kafka: &'a Kafka,
    topic: String,
    group: String,
    random: StdRng,
    workers: Vec<Option<Worker>>,
    /// Stopped processes, and until when.
    stopped: Vec<(usize, Instant)>,
    produced: u64,
    kills: u32,
    pauses: u32,
    leaves: u32,
}

impl<'a> Faults<'a> {
    fn new(kafka: &'a Kafka, seed: u64) -> Self {
        let (topic, group) = (kafka.name("clicks"), kafka.name("disturbed"));
        let workers = (0..PROCESSES).map(|_| None).collect();
        let random = StdRng::seed_from_u64(seed);
        let (stopped, produced, kills, pauses, leaves) = (Vec::new(), 0, 0, 0, 0);
        Self { kafka, topic, group, random, workers, stopped, produced, kills, pauses, leaves }
    }

    fn produce(&mut self, step: u32) {
        let start = stagger::Timestamp::from_secs(1_790_000_000 + i64::from(step) * 60).to_string();
        let seed = step.to_string();
        let arguments = ["--partitions", "8", "--events", "600", "--rate", "10", "--users", "300", "--disorder", "15s"];
        let untidy =
            ["--stragglers", "0.02", "--late-by", "10m", "--broken", "0.01", "--seed", &seed, "--start", &start];
        self.produced += self.kafka.produce(&self.topic, &[&arguments[..], &untidy].concat());
    }

    fn start(&mut self, place: usize) {
        let working = ["--session-timeout", "2s", "--commit-every", "200ms"];
        self.workers[place] = Some(self.kafka.worker(&self.topic, &self.group, &[&RULES[..], &working].concat()));
    }

    fn step(&mut self) {
        let due: Vec<usize> =
            self.stopped.iter().filter(|(_, until)| *until <= Instant::now()).map(|(w, _)| *w).collect();
        self.stopped.retain(|(_, until)| *until > Instant::now());
        for place in due {
            self.workers[place].iter().for_each(|worker| worker.signal(Signal::CONT));
        }
        let place = self.random.random_range(0..PROCESSES);
        if self.stopped.iter().any(|(stopped, _)| *stopped == place) {
            return;
        }
        if let Some(worker) = &mut self.workers[place]
            && let Some(is_well) = worker.has_ended()
        {
            panic!("a worker has ended by itself, well: {is_well}");
        }
        match (self.workers[place].take(), self.random.random_range(0..10)) {
            (None, _) => self.start(place),
            (Some(worker), 0..=5) => {
                worker.signal(Signal::KILL);
                self.kills += 1;
                if self.random.random_bool(0.7) {
                    self.start(place);
                }
            }
            (Some(worker), 6..=7) => {
                worker.signal(Signal::STOP);
                self.pauses += 1;
                self.stopped.push((place, Instant::now() + TIMEOUT.mul_f64(1.2)));
                self.workers[place] = Some(worker);
            }
            (Some(worker), _) => {
                worker.end();
                self.leaves += 1;
            }
        }
    }

    fn finish(&mut self) {
        for worker in self.workers.iter().flatten() {
            worker.signal(Signal::CONT);
        }
        (0..PROCESSES).for_each(|place| {
            if self.workers[place].is_none() {
                self.start(place);
            }
        });
        self.kafka.until_done(&self.topic, &self.group, Duration::from_secs(900));
        self.workers.drain(..).flatten().for_each(Worker::end);
    }
}

/// Every record is in a session, late, refused or unreadable: as the processes counted, and as rows.
fn assert_accounted(kafka: &Kafka, topic: &str, group: &str, produced: u64) {
    let report = kafka.report(topic, group);
    let number = |value: &Value| value.as_u64().unwrap();
    let counts: Vec<&Value> = report.values().map(|line| &line["counts"]).collect();
    let all = |name: &str| counts.iter().map(|of| number(&of[name])).sum::<u64>();
    assert_eq!(all("records"), produced);
    let rows = kafka.all_rows(group);
    assert_eq!(all("unreadable"), rows["unreadable"].len() as u64);
    let (mut late, mut refused) = (0, all("refused"));
    for rule in 0..RULES.len() / 2 {
        let of = |name: &str| counts.iter().map(|of| number(&of["rules"][rule][name])).sum::<u64>();
        assert_eq!(of("events") + all("refused") + all("unreadable"), produced);
        assert_eq!(of("events"), of("closed") + of("open") + of("late") + of("refused"));
        let name = counts[0]["rules"][rule]["rule"].as_str().unwrap();
        let own = rows[""].iter().map(|row| serde_json::from_str::<Value>(row).unwrap());
        let own: Vec<Value> = own.filter(|row| row["strategy"] == name).collect();
        assert_eq!(own.len() as u64, of("sessions"), "{name}");
        assert_eq!(own.iter().map(|row| number(&row["events"])).sum::<u64>(), of("closed"), "{name}");
        (late, refused) = (late + of("late"), refused + of("refused"));
    }
    assert_eq!((late, refused), (rows["late"].len() as u64, rows["refused"].len() as u64));
}

#[test]
fn committed_rows_are_those_of_one_undisturbed_process() {
    let kills = std::env::var("KAFKA_KILLS").map_or(12, |kills| kills.parse().unwrap());
    let seed = std::env::var("KAFKA_SEED").map_or(1, |seed| seed.parse().unwrap());
    let kafka = Kafka::new("faults");
    let mut faults = Faults::new(&kafka, seed);
    faults.produce(0);
    (0..PROCESSES).for_each(|place| faults.start(place));
    let mut step = 0;
    while faults.kills < kills {
        step += 1;
        faults.produce(step);
        thread::sleep(Duration::from_millis(faults.random.random_range(50..800)));
        faults.step();
        if step % 50 == 0 {
            println!("{} kills, {} pauses, {} leaves", faults.kills, faults.pauses, faults.leaves);
        }
    }
    faults.finish();
    assert_same_as_undisturbed(&faults);
}

/// Of one undisturbed process, row for row.
fn assert_same_as_undisturbed(faults: &Faults<'_>) {
    let kafka = faults.kafka;
    let (topic, group, undisturbed) = (faults.topic.clone(), faults.group.clone(), kafka.name("undisturbed"));
    let alone = [&RULES[..], &["--stop-when-idle", "1ms"]].concat();
    assert!(kafka.worker(&topic, &undisturbed, &alone).wait());
    assert_eq!(kafka.lag(&topic, &undisturbed), 0);
    let (expected, found) = (kafka.all_rows(&undisturbed), kafka.all_rows(&group));
    for (side, expected) in &expected {
        let found = &found[side];
        assert_eq!(found.len(), expected.len(), "{side}");
        assert!(found == expected, "{side}: rows differ");
    }
    assert_accounted(kafka, &topic, &group, faults.produced);
    println!(
        "{} records: {} sessions, {} late, {} refused, {} unreadable; {} kills, {} pauses, {} leaves",
        faults.produced,
        found[""].len(),
        found["late"].len(),
        found["refused"].len(),
        found["unreadable"].len(),
        faults.kills,
        faults.pauses,
        faults.leaves
    );
}

/// What a broker has answered outlives it, and whoever works for the group waits for it to come back.
#[test]
fn a_broker_that_is_killed_and_started_again_changes_no_row() {
    let kills: u32 = std::env::var("KAFKA_BROKER_KILLS").map_or(3, |kills| kills.parse().unwrap());
    let kafka = Kafka::lasting("outlived");
    let mut faults = Faults::new(&kafka, 2);
    faults.produce(0);
    (0..PROCESSES).for_each(|place| faults.start(place));
    for step in 1..=kills {
        faults.produce(step);
        thread::sleep(Duration::from_millis(faults.random.random_range(50..1_500)));
        kafka.kill_broker(Duration::from_millis(faults.random.random_range(0..1_000)));
    }
    faults.produce(kills + 1);
    faults.finish();
    println!("the broker was killed {kills} times");
    assert_same_as_undisturbed(&faults);
}

/// Rows, state and offset of a commit that is refused wait for the next one.
#[test]
fn commits_that_are_refused_are_made_again() {
    let kafka = Kafka::refusing("refused", 3);
    let mut faults = Faults::new(&kafka, 3);
    faults.produce(0);
    faults.start(0);
    for step in 1..5 {
        faults.produce(step);
        kafka.until_done(&faults.topic, &faults.group, Duration::from_secs(900));
    }
    faults.finish();
    assert_same_as_undisturbed(&faults);
}
