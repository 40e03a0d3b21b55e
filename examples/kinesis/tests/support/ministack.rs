//! ministack, a Python package that stands in for S3, Firehose and CloudWatch, as a process of its own.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use program::testing::{Running, free_port};

const PACKAGES: &str = "ministack cbor2";
const IMPORTS: &str = "import ministack, cbor2";
/// `python -m ministack` that ends when its input does: also when the tests are killed.
const RUN: &str = "
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
runpy.run_module('ministack', run_name='__main__', alter_sys=True)
";
/// How long it may take to start. It takes less than a second where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running ministack, empty at first; it ends with this value.
pub(crate) struct StandIn {
    server: Running,
    endpoint: String,
}

impl StandIn {
    /// `None`, and a line that says so, where Python does not have the packages.
    pub(crate) fn start() -> Option<Self> {
        let Some(python) = python() else {
            TELL.call_once(tell);
            return None;
        };
        let started = (0..5).find_map(|_| Self::try_start(&python));
        Some(started.expect("ministack must start"))
    }

    /// `None` if it ends at once: another program may have taken the port.
    fn try_start(python: &str) -> Option<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = Command::new(python);
        command.args(["-c", RUN]).env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", address.port().to_string());
        command.env("SERVICES", "s3,firehose,cloudwatch").env("S3_PERSIST", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut started = Self { server: Running::start(&mut command), endpoint: format!("http://{address}") };
        started.answers(address).then_some(started)
    }

    fn answers(&mut self, address: SocketAddr) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if TcpStream::connect(address).is_ok() {
                return self.server.try_wait().is_none();
            }
            if self.server.try_wait().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("ministack does not answer");
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

static TELL: Once = Once::new();

fn tell() {
    // Not `eprintln!`, which only tests that fail would show.
    let _ = writeln!(
        io::stderr(),
        "NOT CHECKED: S3, Firehose and CloudWatch against ministack; install it with `pip install {PACKAGES}`, \
         and name the Python that has it in KINESIS_PYTHON"
    );
}

/// A Python that has the packages.
fn python() -> Option<String> {
    let python = std::env::var("KINESIS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imports = Command::new(&python).args(["-c", IMPORTS]).stderr(Stdio::null()).status();
    imports.is_ok_and(|status| status.success()).then_some(python)
}
