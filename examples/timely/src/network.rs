//! Connections to the other processes of a job.
//!
//! Each process connects to those before it in the list of addresses, and is connected to by those behind it. Timely
//! would wait without end for a process that never comes, and would take one with another command for one of the job.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use program::say::{list, say};
use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};

/// The first message of each process on a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Greeting {
    pub process: usize,
    /// Settings that are the same in each process, and their values.
    pub command: Vec<(String, String)>,
}

/// The bytes before the length of a greeting.
const MARK: &[u8; 8] = b"sessions";
/// The command of a job is shorter.
const LONGEST: u32 = 1 << 20;
/// A stranger that connects and says nothing is let go after this.
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Connects to all other processes. None stands for this one.
///
/// # Errors
/// If one of them has not come within `wait`, or has another command.
pub fn connect(addresses: &[SocketAddr], own: &Greeting, wait: Duration) -> Result<Vec<Option<TcpStream>>> {
    let (begin, address) = (Instant::now(), addresses[own.process]);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen at {address}: is it the address of this machine, and free?"))?;
    listener.set_nonblocking(true).context("cannot listen")?;
    let mut streams: Vec<Option<TcpStream>> = addresses.iter().map(|_| None).collect();
    let mut is_told = false;
    loop {
        let left = wait.saturating_sub(begin.elapsed());
        for (process, stream) in streams.iter_mut().enumerate().take(own.process).filter(|(_, known)| known.is_none()) {
            *stream = call(addresses[process], process, own, left)?;
        }
        while let Some((process, stream)) = answer(&listener, own, addresses.len())? {
            streams[process] = Some(stream); // one that comes again takes the place of itself
        }
        let missing = || (0..addresses.len()).filter(|process| *process != own.process && streams[*process].is_none());
        if missing().next().is_none() {
            return Ok(streams);
        }
        let names = || list(&missing().map(|i| format!("process {i} ({})", addresses[i])).collect::<Vec<_>>());
        ensure!(
            !left.is_zero(),
            "no connection to {} within {}: start all processes together, or give a longer --connect-timeout",
            names(),
            events::lengths::compact(wait)
        );
        if !is_told && begin.elapsed() > ATTEMPT {
            say(format_args!("waiting for {}", names()));
            is_told = true;
        }
        sleep(PAUSE);
    }
}

/// Connects to an earlier process. None: it is not there yet.
fn call(address: SocketAddr, process: usize, own: &Greeting, left: Duration) -> Result<Option<TcpStream>> {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ATTEMPT) else { return Ok(None) };
    if stream.local_addr().is_ok_and(|own| own == address) {
        return Ok(None); // nobody is there, and the system gave the call the very port that it calls
    }
    // It answers when it has its own connections to those before it.
    let exchanged = send(&mut stream, own).and_then(|()| receive(&mut stream, left.max(PAUSE)));
    let Ok(other) = exchanged else { return Ok(None) };
    ensure!(other.process == process, "{address} is process {}, and {process} in --addresses here", other.process);
    own.check(&other)?;
    Ok(Some(ready(stream)?))
}

/// Takes the connection of a later process. None: nobody is calling.
fn answer(listener: &TcpListener, own: &Greeting, processes: usize) -> Result<Option<(usize, TcpStream)>> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error).context("cannot listen"),
        };
        stream.set_nonblocking(false).context("cannot use a connection")?;
        let Ok(other) = receive(&mut stream, PATIENCE) else { continue }; // a stranger, or one that has ended
        if send(&mut stream, own).is_err() {
            continue;
        }
        own.check(&other)?;
        ensure!(
            (own.process + 1..processes).contains(&other.process),
            "a process calls that says --process {}, which is none of those behind {}",
            other.process,
            own.process
        );
        return Ok(Some((other.process, ready(stream)?)));
    }
}

impl Greeting {
    fn check(&self, other: &Self) -> Result<()> {
        let differs = |((_, here), (_, there)): &(&(String, String), &(String, String))| here != there;
        if let Some(((name, here), (_, there))) = self.command.iter().zip(&other.command).find(differs) {
            let process = other.process;
            bail!("process {process} has {name} = {there}, which is {here} here: start all with the same command");
        }
        Ok(())
    }
}

fn send(stream: &mut TcpStream, greeting: &Greeting) -> io::Result<()> {
    let text = serde_json::to_vec(greeting)?;
    let length =
        u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST).ok_or(io::ErrorKind::InvalidInput)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&[MARK, &length.to_be_bytes()[..], &text].concat())
}

fn receive(stream: &mut TcpStream, within: Duration) -> io::Result<Greeting> {
    stream.set_read_timeout(Some(within))?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let (mark, length) = head.split_at(MARK.len());
    let length = u32::from_be_bytes(length.try_into().map_err(|_| io::ErrorKind::InvalidData)?);
    if mark != MARK || length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Makes a connection ready for timely. A machine that is gone without a word ends it within two minutes.
fn ready(stream: TcpStream) -> Result<TcpStream> {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10)).with_retries(6);
    let set = || {
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        stream.set_nodelay(true)
    };
    set().context("cannot use a connection")?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use program::testing::free_port;

    use super::*;

    const LONG: Duration = Duration::from_secs(120);

    fn addresses(count: usize) -> Vec<SocketAddr> {
        (0..count).map(|_| SocketAddr::from(([127, 0, 0, 1], free_port()))).collect()
    }

    fn greeting(process: usize, workers: usize) -> Greeting {
        Greeting { process, command: vec![("--workers".to_owned(), workers.to_string())] }
    }

    #[test]
    fn each_has_a_connection_to_every_other() {
        let addresses = addresses(4);
        let processes: Vec<_> = (0..4)
            .map(|process| {
                let addresses = addresses.clone();
                thread::spawn(move || connect(&addresses, &greeting(process, 2), LONG).unwrap())
            })
            .collect();
        let streams: Vec<_> = processes.into_iter().map(|process| process.join().unwrap()).collect();
        for (process, of_process) in streams.iter().enumerate() {
            for (other, stream) in of_process.iter().enumerate() {
                assert_eq!(stream.is_none(), process == other, "{process} {other}");
                let Some(mut stream) = stream.as_ref() else { continue };
                stream.write_all(&[process as u8]).unwrap();
                let mut from = [9];
                let mut end: &TcpStream = streams[other][process].as_ref().unwrap();
                end.read_exact(&mut from).unwrap();
                assert_eq!(usize::from(from[0]), process, "what {process} sends is read by {other}");
            }
        }
    }

    #[test]
    fn one_that_never_comes_is_not_waited_for_without_end() {
        let addresses = addresses(3);
        let (first, third) = (addresses[0], addresses[2]);
        let problem = connect(&addresses, &greeting(1, 2), Duration::from_millis(50)).unwrap_err().to_string();
        let names = format!("no connection to process 0 ({first}), process 2 ({third}) within 50ms: start all");
        assert!(problem.starts_with(&names), "{problem}");
    }

    #[test]
    fn strangers_are_let_go() {
        let addresses = addresses(2);
        let called = addresses[0];
        let first = thread::spawn({
            let addresses = addresses.clone();
            move || connect(&addresses, &greeting(0, 2), LONG).map(|streams| streams.len())
        });
        for text in ["", "GET / HTTP/1.1\r\n\r\n", "sessions\u{7f}\u{7f}\u{7f}\u{7f}", "sessions\0\0\0\u{1}{"] {
            let mut stranger = loop {
                if let Ok(stream) = TcpStream::connect(called) {
                    break stream;
                }
            };
            stranger.write_all(text.as_bytes()).unwrap();
        }
        connect(&addresses, &greeting(1, 2), LONG).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 2);
    }

    #[test]
    fn another_command_is_told_on_both_sides() {
        let addresses = addresses(2);
        let first = thread::spawn({
            let addresses = addresses.clone();
            move || connect(&addresses, &greeting(0, 1), LONG).unwrap_err().to_string()
        });
        let there = connect(&addresses, &greeting(1, 3), LONG).unwrap_err().to_string();
        assert_eq!(there, "process 0 has --workers = 1, which is 3 here: start all with the same command");
        let here = first.join().unwrap();
        assert_eq!(here, "process 1 has --workers = 3, which is 1 here: start all with the same command");
    }
}
