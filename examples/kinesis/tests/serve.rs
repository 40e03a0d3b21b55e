//! `kinesis serve`: the real program, looked at with a client.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::process::{ChildStdout, Command, Stdio};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Config, Credentials, Region};
use program::testing::{PATIENCE, Running, Signal};

fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis"));
    // Where the environment leads elsewhere, its own server is still the one that is meant.
    command.arg("serve").args(arguments).env("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:9").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(arguments: &[&str]) -> (Running, Lines<BufReader<ChildStdout>>) {
    let mut child = Running::start(&mut serve(arguments));
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    (child, lines)
}

fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "made up"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).build())
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

#[tokio::test]
async fn it_creates_the_stream_says_where_it_is_and_ends_when_asked() {
    let (mut child, mut lines) = start(&["--port", "0", "--stream", "clicks", "--shards", "11"]);
    let mut line = || lines.next().expect("there is a line").expect("it is text");
    let endpoint = line().strip_prefix("Kinesis listens at ").expect("it says where").to_owned();
    assert_eq!(line(), format!("export AWS_ENDPOINT_URL={endpoint}"));
    assert_eq!(line(), "stream clicks, shards: 11");
    let answer = client(&endpoint).list_shards().stream_name("clicks").send().await.expect("there is the stream");
    assert_eq!(answer.shards().len(), 11);
    child.signal(Signal::INT);
    assert!(child.wait().success());
    assert!(lines.next().is_none());
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port();
    let output = program::testing::output(&mut serve(&["--port", &port.to_string()]));
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).expect("it is text");
    let expected = format!("kinesis: cannot listen on port {port} of this machine: choose another with --port: ");
    assert!(told.starts_with(&expected), "{told}");
}
