//! Programs that a test starts. None outlives its time, nor its test.

use std::io::Read;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(unix)]
pub use rustix::process::Signal;
#[cfg(unix)]
use rustix::process::{Pid, getpgid, kill_process, kill_process_group};

/// How long a program, or a state that a test waits for, may take: far longer than it does where twenty others run.
pub const PATIENCE: Duration = Duration::from_secs(600);

const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// How much of an output a message shows.
const SHOWN: usize = 4_000;

/// A program that runs, as [`Child`].
///
/// It is killed when its time is over: then a read from its pipes ends, and a wait for its end panics. It is also killed
/// when this value is dropped. The group of processes that it leads, if it leads one, is killed with it.
pub struct Running {
    child: Shared,
    command: String,
    within: Duration,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    is_overdue: Arc<AtomicBool>,
    /// Dropped with this value, which ends the watch.
    lives: mpsc::Sender<Duration>,
}

impl Running {
    /// Starts a program that may take [`PATIENCE`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(command: &mut Command) -> Self {
        Self::start_within(PATIENCE, command)
    }

    /// Starts a program that may take this long.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_within(within: Duration, command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (child, is_overdue) = (Shared(Arc::new(Mutex::new(child))), Arc::new(AtomicBool::new(false)));
        let (lives, ended) = mpsc::channel();
        let watched = (child.clone(), Arc::clone(&is_overdue));
        thread::spawn(move || {
            let mut within = within;
            let ended = loop {
                match ended.recv_timeout(within) {
                    Ok(more) => within = more,
                    Err(ended) => break ended,
                }
            };
            if ended == RecvTimeoutError::Timeout {
                end_overdue(&watched.0, &watched.1);
            }
        });
        Self { child, command: format!("{command:?}"), within, stdin, stdout, stderr, is_overdue, lives }
    }

    /// Its time begins anew, and is this.
    pub fn may_take(&mut self, within: Duration) {
        self.within = within;
        let _ = self.lives.send(within); // it has ended if nobody hears this
    }

    pub fn id(&self) -> u32 {
        self.child.lock().id()
    }

    /// Its status if it has ended.
    ///
    /// # Panics
    /// If its time is over.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.lock().try_wait().expect("a child can be waited for");
        assert!(!self.is_overdue(), "{}", self.overdue());
        status
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If its time is over.
    pub fn wait(&mut self) -> ExitStatus {
        self.end().unwrap_or_else(|| panic!("{}", self.overdue()))
    }

    /// Reads its outputs, and waits for its end.
    ///
    /// # Panics
    /// If its time is over: with its outputs.
    pub fn wait_with_output(mut self) -> Output {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = thread::scope(|scope| {
            let stderr = scope.spawn(|| read(stderr));
            (read(stdout), stderr.join().expect("reading does not panic"))
        });
        let Some(status) = self.end() else {
            panic!("{}\nits standard output: {}\nits messages: {}", self.overdue(), tail(&stdout), tail(&stderr));
        };
        Output { status, stdout, stderr }
    }

    /// Its status at its end, or nothing if it was killed because its time was over.
    fn end(&mut self) -> Option<ExitStatus> {
        drop(self.stdin.take()); // as `Child` does
        loop {
            let status = self.child.lock().try_wait().expect("a child can be waited for");
            if status.is_some() {
                return status.filter(|_| !self.is_overdue());
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.lock();
        kill(&mut child);
        let _ = child.wait();
    }

    /// Sends a signal, unless it has ended.
    ///
    /// # Panics
    /// If the system does not allow it.
    #[cfg(unix)]
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child.lock();
        if is_alive(&mut child) {
            kill_process(Pid::from_child(&child), signal).expect("a child of this process takes signals");
        }
    }

    fn is_overdue(&self) -> bool {
        self.is_overdue.load(Ordering::SeqCst)
    }

    fn overdue(&self) -> String {
        format!("{} has not ended within {:?}: it is killed", self.command, self.within)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end, and collects its outputs. Its standard input is that of the command.
///
/// # Panics
/// If it does not end within [`PATIENCE`]: with its outputs.
pub fn output(command: &mut Command) -> Output {
    Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output()
}

/// Waits for a state.
///
/// # Panics
/// If it does not come within [`PATIENCE`].
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} has not come within {PATIENCE:?}");
        thread::sleep(BETWEEN_LOOKS);
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Child>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_overdue(child: &Shared, is_overdue: &AtomicBool) {
    let mut child = child.lock();
    is_overdue.store(is_alive(&mut child), Ordering::SeqCst);
    kill(&mut child);
}

fn is_alive(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    if is_alive(child) && getpgid(Some(Pid::from_child(child))) == Ok(Pid::from_child(child)) {
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }
    let _ = child.kill(); // it may have ended
}

fn read(from: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let read = from.read_to_end(&mut bytes);
        read.expect("a pipe can be read");
    }
    bytes
}

fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN)..]).into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead, BufReader, ErrorKind};
    use std::os::unix::process::CommandExt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Says something, and starts a process that never ends and holds its pipes open.
    fn endless() -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo lost >&2; echo begun; tail -f /dev/null; true"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    fn panics(work: impl FnOnce()) -> String {
        *catch_unwind(AssertUnwindSafe(work)).expect_err("it panics").downcast::<String>().expect("with a sentence")
    }

    #[test]
    fn what_a_program_had_written_is_told_when_its_time_is_over() {
        let mut running = Running::start(&mut endless());
        let mut stdout = BufReader::new(running.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        end_overdue(&running.child, &running.is_overdue);
        assert_eq!(stdout.read_line(&mut String::new()).unwrap(), 0, "its group has ended too");
        let told = panics(|| drop(running.wait_with_output()));
        assert!(
            told.contains("tail -f /dev/null") && told.contains("has not ended within 600s: it is killed"),
            "{told}"
        );
        assert!(told.ends_with("its messages: lost\n"), "{told}");
    }

    #[test]
    fn a_wait_ends_when_the_time_is_over() {
        let soon = Duration::from_millis(1);
        let told = panics(|| _ = Running::start_within(soon, &mut endless()).wait());
        assert!(told.ends_with("has not ended within 1ms: it is killed"), "{told}");
        let mut running = Running::start(&mut endless());
        running.may_take(soon);
        let told = panics(|| drop(running.wait_with_output()));
        assert!(told.contains("has not ended within 1ms: it is killed"), "{told}");
    }

    #[test]
    fn a_program_that_ends_is_as_a_child() {
        let ran = output(Command::new("sh").args(["-c", "echo out; echo said >&2; exit 3"]).stdin(Stdio::null()));
        assert_eq!((ran.status.code(), &ran.stdout[..], &ran.stderr[..]), (Some(3), &b"out\n"[..], &b"said\n"[..]));
        let mut running = Running::start(Command::new("tail").args(["-f", "/dev/null"]));
        assert_eq!(running.try_wait(), None);
        running.signal(Signal::TERM);
        assert!(!running.wait().success());
        running.signal(Signal::TERM); // to nobody
    }

    /// With what it has started.
    #[test]
    fn a_program_ends_with_its_value() {
        let mut running = Running::start(&mut endless());
        let mut stdout = BufReader::new(running.stdout.take().unwrap());
        stdout.read_line(&mut String::new()).unwrap();
        drop(running);
        let rest = stdout.read_line(&mut String::new()).map_err(|error| error.kind());
        assert_eq!(rest, Ok::<_, ErrorKind>(0));
    }
}
