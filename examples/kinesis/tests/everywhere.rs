//! Everything at once: state and files in S3, rows to Firehose, metrics to CloudWatch, alerts to a
//! webhook, and the consumer killed in between. Against ministack; left out where Python does not have
//! it, with a line that says so.

#[path = "support/ministack.rs"]
mod ministack;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_firehose::types::ExtendedS3DestinationConfiguration;
use ministack::StandIn;
use serde_json::Value;
use support::{STREAM, Server, spawn, succeed};

macro_rules! client {
    ($service:ident, $endpoint:expr $(, $more:ident($argument:expr))*) => {
        $service::Client::from_conf(
            $service::Config::builder()
                .behavior_version($service::config::BehaviorVersion::latest())
                .region($service::config::Region::new("us-east-1"))
                .credentials_provider(Credentials::new("local", "local", None, None, "made up"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .endpoint_url($endpoint)$(.$more($argument))*
                .build(),
        )
    };
}

fn click(number: usize) -> (String, Vec<u8>) {
    let user = number % 20;
    let time = stagger::Timestamp::from_micros(1_767_571_200_000_000 + number as i64 * 100_000);
    let line =
        format!(r#"{{"user_id":{user},"device_id":"d","client_event":"e{number}","client_timestamp":"{time}"}}"#);
    (user.to_string(), line.into_bytes())
}

/// The rows of all objects whose name begins so.
async fn rows(s3: &aws_sdk_s3::Client, bucket: &str, prefix: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let object = s3.get_object().bucket(bucket).key(object.key().unwrap()).send().await.unwrap();
            let bytes = object.body.collect().await.unwrap().to_vec();
            let text = String::from_utf8(bytes).unwrap();
            rows.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    rows
}

fn ids(rows: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = rows.iter().map(|row| row["session_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_place_has_what_it_is_promised() {
    let Some(stand_in) = StandIn::start() else { return };
    let aws = stand_in.endpoint();
    let s3 = client!(aws_sdk_s3, aws, force_path_style(true));
    let firehose = client!(aws_sdk_firehose, aws);
    for bucket in ["mine", "delivered"] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let destination = ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/firehose")
        .bucket_arn("arn:aws:s3:::delivered")
        .build()
        .unwrap();
    let create = firehose.create_delivery_stream().delivery_stream_name("rows");
    create.extended_s3_destination_configuration(destination).send().await.unwrap();

    let server = Server::start(2).await;
    let arguments = format!(
        "consume --endpoint {} --stream {STREAM} --gap 3s --step 10s --out-of-order 1s --poll-every 50ms --unpaced \
         --checkpoint-every 300ms --buffer-interval 500ms --compression none --state s3://mine/state \
         --output s3://mine --prefix out/ --firehose rows --metrics Sessions",
        server.endpoint
    );
    let command = |more: &str| {
        let mut command = server.command(&format!("{arguments} {more}"));
        command.env("AWS_ENDPOINT_URL", aws);
        command
    };
    for portion in 0..8 {
        server.put((portion * 200..(portion + 1) * 200).map(click)).await;
        let child = spawn(command(""));
        tokio::time::sleep(Duration::from_millis(300 + 250 * portion as u64)).await;
        drop(child); // SIGKILL
        if portion == 4 {
            server.split(0).await;
        }
    }
    succeed(command("--stop-when-idle 2s --flush")).await;

    // The output of an undisturbed run from the beginning.
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = arguments
        .replace("s3://mine/state", &format!("{}/state", folder.path().display()))
        .replace("--output s3://mine --prefix out/ --firehose rows --metrics Sessions", "--output OUT")
        .replace("OUT", &folder.path().join("out").display().to_string());
    succeed(server.command(&format!("{undisturbed} --stop-when-idle 2s --flush"))).await;
    let expected = support::rows(&folder.path().join("out"));

    let mut delivered = BTreeSet::new();
    for table in ["gap_3s", "step_10s"] {
        let expected: Vec<Value> = expected[table].iter().map(|row| support::parsed(row)).collect();
        let got = rows(&s3, "mine", &format!("out/{table}/")).await;
        assert_eq!(ids(&got), ids(&expected), "{table}: once each");
        delivered.extend(ids(&got));
    }
    assert!(!expected.contains_key("errors"));

    // Firehose may have had rows again, but the same ones.
    let sent = ids(&rows(&s3, "delivered", "").await);
    assert!(sent.len() >= delivered.len());
    assert_eq!(sent.into_iter().collect::<BTreeSet<_>>(), delivered);

    // Metrics are at most those of all sessions.
    let metrics = client!(aws_sdk_cloudwatch, aws);
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let request = metrics.get_metric_statistics().namespace("Sessions").metric_name("Sessions");
    let request = request.dimensions(dimension("Stream", STREAM)).dimensions(dimension("Strategy", "gap_3s"));
    let now = std::time::SystemTime::now() + Duration::from_secs(3_600);
    let request = request.start_time(aws_sdk_cloudwatch::primitives::DateTime::from_secs(0)).end_time(now.into());
    let points = request.period(86_400).statistics(Statistic::Sum).send().await.unwrap().datapoints.unwrap_or_default();
    let counted: f64 = points.iter().filter_map(|point| point.sum).sum();
    let all = expected["gap_3s"].len() as f64;
    assert!(counted > 0.0 && counted <= all, "{counted} of {all}");
}
