//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once. Fargate and others kill
//! a process that takes too long to end, so a clean end has a deadline.

use std::io::{Write, stderr};
use std::time::Duration;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a clean end may take. Work that is unfinished then is dropped, as by a crash.
pub(crate) const CLEAN_END: Duration = Duration::from_secs(8);
/// How long, from when it is asked for, to wait for a server that a clean end can do without.
const COURTESY: Duration = Duration::from_secs(2);
/// When the process ends though a thread hangs, as in writing to a pipe that nobody reads.
const LAST: Duration = Duration::from_secs(9);

/// A token that the first signal cancels.
pub(crate) fn on_signal() -> CancellationToken {
    on_signal_and(|| {})
}

/// The same; `before_exit` runs before the second signal ends the process.
pub(crate) fn on_signal_and(before_exit: impl FnOnce() + Send + 'static) -> CancellationToken {
    begin(std::future::pending(), before_exit)
}

/// The same; the process ends soon after the first signal even if a thread hangs.
pub(crate) fn on_signal_with_deadline() -> CancellationToken {
    begin(async { tokio::time::sleep(LAST).await }, || {}) // from the signal on: a sleep begins when it is made
}

fn begin(
    last: impl Future<Output = ()> + Send + 'static,
    before_exit: impl FnOnce() + Send + 'static,
) -> CancellationToken {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    let first = Signals::new(); // from here on, not from when the task first runs
    tokio::spawn(async move {
        first.one().await;
        asked.cancel();
        let code = tokio::select! {
            () = Signals::new().one() => 130,
            () = last => {
                tell_that_it_hangs().await;
                1
            }
        };
        before_exit();
        std::process::exit(code);
    });
    stop
}

/// From another thread: standard error may hang as well.
async fn tell_that_it_hangs() {
    std::thread::spawn(|| {
        let seconds = LAST.as_secs();
        let _ = writeln!(stderr(), "kinesis: no end within {seconds} s of the signal: ends as it is, not all is done");
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Works until the deadline of a clean end. `None` if that came first.
pub(crate) async fn until_deadline<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    until(stop, CLEAN_END, work).await
}

/// Works on something that a clean end can do without. `None` if it took too long once that was asked for.
pub(crate) async fn with_courtesy<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    until(stop, COURTESY, work).await
}

/// Works until some time after the end was asked for. `None` if that came first.
pub(crate) async fn until<T>(stop: &CancellationToken, after: Duration, work: impl Future<Output = T>) -> Option<T> {
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(after).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = too_long => None,
    }
}

/// Signals that ask for an end. Where the system gives none, nothing will ask.
#[cfg(unix)]
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok());
        Self { interrupt, terminate }
    }

    /// Waits for the first that comes.
    async fn one(self) {
        tokio::select! {
            () = received(self.interrupt) => {}
            () = received(self.terminate) => {}
        }
    }
}

#[cfg(unix)]
async fn received(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn one(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clean_end_has_a_deadline_from_when_it_is_asked_for() {
        let (stop, began) = (CancellationToken::new(), Instant::now());
        assert_eq!(until_deadline(&stop, sleep(10 * CLEAN_END)).await, Some(()), "nobody has asked");
        let asked = stop.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(5)).await;
            asked.cancel();
        });
        assert_eq!(until_deadline(&stop, pending::<()>()).await, None);
        assert_eq!(began.elapsed(), 11 * CLEAN_END + Duration::from_secs(5));
    }

    /// Also a signal that comes before the task that waits for it has run.
    #[cfg(unix)]
    #[tokio::test]
    async fn a_signal_is_heard_from_the_beginning() {
        let stop = on_signal();
        let this = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &this]).status().unwrap().success());
        let heard = tokio::time::timeout(program::testing::PATIENCE, stop.cancelled());
        heard.await.expect("the signal is heard");
    }

    /// A webhook and CloudWatch one after the other leave time for the checkpoint.
    #[test]
    fn courtesy_leaves_time_for_the_checkpoint() {
        assert!(2 * COURTESY < CLEAN_END && CLEAN_END < LAST && LAST < Duration::from_secs(10));
    }
}
