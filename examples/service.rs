//! A service that finds visits in a channel of clicks: a timer on the wall clock closes them when nobody clicks
//! any more, and a restart goes on from a snapshot.
//!
//! `cargo run --example service`
//!
//! The library reads no clock. A service has one, and needs three lines for it: wait for a click no longer than
//! until the [next deadline](stagger::Engine::next_deadline), and then say how late it is.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use stagger::{Config, Engine, Event, Gap, SessionSummary, Timestamp};

type Failure = Box<dyn Error + Send + Sync>;
type Click = Event<String, String>;
type Visit = SessionSummary<String, String>;

/// How long clicks may be on their way. The watermark is as far behind the wall clock.
const DELAY: Duration = Duration::from_millis(50);

fn config() -> Config<String, String> {
    Config::new(Gap::new(Duration::from_millis(200))).out_of_order(DELAY)
}

/// The watermark by the wall clock: no click from before this is still to come.
fn watermark() -> Result<Timestamp, Failure> {
    Ok(Timestamp::try_from(SystemTime::now() - DELAY)?)
}

struct Service {
    visits: Engine<String, String>,
    clicks: Receiver<Click>,
    closed: Sender<Visit>,
}

impl Service {
    /// Goes on from the state in a file, if there is one.
    fn start(state: &Path, clicks: Receiver<Click>, closed: Sender<Visit>) -> Result<Self, Failure> {
        let visits = match fs::read(state) {
            Ok(json) => config().restore(serde_json::from_slice(&json)?)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => config().build()?,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { visits, clicks, closed })
    }

    /// Runs until nobody can send a click any more. Returns the open visits, which the next run goes on with: they
    /// are not over, so nothing is flushed.
    fn run(mut self, state: &Path) -> Result<usize, Failure> {
        loop {
            match self.next_click()? {
                Ok(click) => {
                    let closed = &self.closed;
                    let pushed = self.visits.push(click.as_event_ref(), &mut |visit| _ = closed.send(visit));
                    if let Some(click) = pushed.returned() {
                        eprintln!("too late: {click:?}");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let closed = &self.closed;
                    self.visits.advance_to(watermark()?, &mut |visit| _ = closed.send(visit));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // (A service that may be killed saves now and then, together with how far it has read.)
        fs::write(state, serde_json::to_vec(&self.visits.snapshot())?)?;
        Ok(self.visits.open_sessions())
    }

    /// Waits for a click until the next visit may be over. A click that is there comes before the timer.
    fn next_click(&self) -> Result<Result<Click, RecvTimeoutError>, Failure> {
        let Some(deadline) = self.visits.next_deadline() else {
            return Ok(self.clicks.recv().map_err(|RecvError| RecvTimeoutError::Disconnected));
        };
        let wait = deadline.since(watermark()?);
        Ok(self.clicks.recv_timeout(wait))
    }
}

fn main() -> Result<(), Failure> {
    let state = StateFile::new();
    println!("{}", first_run(&state.0)?);
    second_run(&state.0)
}

/// Clicks come, and the service is told to end while the visits are still open.
fn first_run(state: &Path) -> Result<String, Failure> {
    let (clicks, receiver) = channel();
    let (closed, _visits) = channel();
    let now = SystemTime::now();
    for (user, after, page) in [("ann", 0, "/"), ("bob", 5, "/"), ("ann", 20, "/beer"), ("ann", 10, "/")] {
        let time = Timestamp::try_from(now + Duration::from_millis(after))?;
        clicks.send(Event::new(user.to_owned(), time, page.to_owned()))?;
    }
    drop(clicks); // the graceful end: the service takes what has been sent, and saves its state
    let open = Service::start(state, receiver, closed)?.run(state)?;
    Ok(format!("first run: 4 clicks, {open} visits open"))
}

/// No click comes any more: the timer closes the visits of the first run.
fn second_run(state: &Path) -> Result<(), Failure> {
    let (clicks, receiver) = channel();
    let (closed, visits) = channel();
    let service = Service::start(state, receiver, closed)?;
    println!("second run: goes on with {} visits", service.visits.open_sessions());
    thread::scope(|scope| {
        let running = scope.spawn(|| service.run(state));
        for visit in visits.iter().take(2) {
            println!("  {}: {} clicks, last {} ({})", visit.key, visit.count, visit.last_event, visit.reason);
        }
        drop(clicks);
        let open = running.join().map_err(|_| "the service panicked")??;
        println!("ended with {open} visits open");
        Ok(())
    })
}

/// A file that is gone with the example.
struct StateFile(PathBuf);

impl StateFile {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("stagger-service-{}.json", std::process::id())))
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
