//! Clients of AWS's services.
//!
//! Without the feature `tls`: plain HTTP to `AWS_ENDPOINT_URL` (or the service's own variable, such as
//! `AWS_ENDPOINT_URL_KINESIS`), with the credentials in the environment or, where there are none,
//! made-up ones. With it: the credentials that the standard chain finds, in AWS.

use std::time::Duration;

use anyhow::Result;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// Where Kinesis is, unless it is given otherwise.
const KINESIS: &str = "AWS_ENDPOINT_URL_KINESIS";

/// The settings of every client.
#[derive(Clone, Debug)]
pub(crate) struct Aws {
    #[cfg(feature = "tls")]
    shared: aws_config::SdkConfig,
    /// The address of Kinesis, which overrides the variables: the demonstration must not reach a stream that is
    /// somebody's.
    kinesis: Option<String>,
    /// Where the other services are; tests know.
    others: Option<String>,
}

/// How long one attempt may take; [`crate::retry`] decides about the next one.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(30))
        .build()
}

/// Makes a client of one service, since their configurations share no type.
macro_rules! client {
    ($aws:expr, $service:ident, $variable:expr $(, $more:ident($argument:expr))*) => {{
        let aws: &Aws = $aws;
        let endpoint = aws.endpoint($variable)?;
        let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        #[cfg(feature = "tls")]
        let mut config = $service::config::Builder::from(&aws.shared);
        #[cfg(not(feature = "tls"))]
        let mut config = $service::config::Builder::new()
            .behavior_version($service::config::BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        if is_plain {
            let region = $service::config::Region::new(plain::region());
            config = config.region(region).credentials_provider(plain::credentials());
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        config = config.retry_config(RetryConfig::disabled()).timeout_config(timeouts())$(.$more($argument))*;
        $service::Client::from_conf(config.build())
    }};
}

impl Aws {
    /// `kinesis` is the address of Kinesis, in place of the variables.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_async, reason = "with TLS it asks for credentials"))]
    pub(crate) async fn new(kinesis: Option<String>) -> Self {
        Self {
            #[cfg(feature = "tls")]
            shared: tls::config().await,
            kinesis,
            others: None,
        }
    }

    /// All services at one place.
    #[cfg(test)]
    pub(crate) async fn at(endpoint: String) -> Self {
        Self { others: Some(endpoint.clone()), ..Self::new(Some(endpoint)).await }
    }

    pub(crate) fn kinesis(&self) -> Result<aws_sdk_kinesis::Client> {
        Ok(client!(self, aws_sdk_kinesis, KINESIS))
    }

    pub(crate) fn firehose(&self) -> Result<aws_sdk_firehose::Client> {
        Ok(client!(self, aws_sdk_firehose, "AWS_ENDPOINT_URL_FIREHOSE"))
    }

    pub(crate) fn cloudwatch(&self) -> Result<aws_sdk_cloudwatch::Client> {
        Ok(client!(self, aws_sdk_cloudwatch, "AWS_ENDPOINT_URL_CLOUDWATCH"))
    }

    /// Buckets are named in the path where an endpoint is given: stand-ins know no other way.
    pub(crate) fn s3(&self) -> Result<aws_sdk_s3::Client> {
        let in_path = self.endpoint("AWS_ENDPOINT_URL_S3")?.is_some();
        Ok(client!(self, aws_sdk_s3, "AWS_ENDPOINT_URL_S3", force_path_style(in_path)))
    }

    /// Where a service is, if not in AWS.
    fn endpoint(&self, variable: &str) -> Result<Option<String>> {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let known = if variable == KINESIS { &self.kinesis } else { &self.others };
        let endpoint = known.clone().or_else(|| given(variable)).or_else(|| given("AWS_ENDPOINT_URL"));
        if cfg!(not(feature = "tls")) {
            match &endpoint {
                None => anyhow::bail!(
                    "no endpoint: set AWS_ENDPOINT_URL to a local server (`kinesis serve` starts one), \
                     or build with `--features tls` for AWS itself"
                ),
                Some(url) if !url.starts_with("http://") => anyhow::bail!(
                    "the endpoint {url} needs HTTPS: build with `--features tls`, or give one that begins with http://"
                ),
                Some(_) => {}
            }
        }
        Ok(endpoint)
    }
}

/// For servers without TLS, none of which is AWS.
mod plain {
    use aws_credential_types::Credentials;

    pub(super) fn region() -> String {
        let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        given("AWS_REGION").or_else(|| given("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned())
    }

    /// Those of the environment; a local server asks for some, and takes any.
    pub(super) fn credentials() -> Credentials {
        let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (given("AWS_ACCESS_KEY_ID"), given("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Credentials::new(id, secret, given("AWS_SESSION_TOKEN"), None, "environment"),
            _ => Credentials::new("local", "local", None, None, "made up"),
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

    pub(super) async fn config() -> aws_config::SdkConfig {
        let client =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(client).load().await
    }
}
