//! One call of the API: its tries, its patience, and what an answer means.

use crate::{backoff::Backoff, bearer::Bearer, transport::Link};
use awc::{
    ClientRequest, ClientResponse,
    error::{ConnectError, PayloadError, SendRequestError},
    http::{
        Method, StatusCode, Uri,
        header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER},
        uri::PathAndQuery,
    },
};
use bytes::Bytes;
use protocol::http::ErrorBody;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    time::{Duration, Instant},
};

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The token is unknown, or not for this.
    #[error("the control plane at {url} refuses the token: check that it exists there and is meant for this")]
    Refused {
        /// The control plane.
        url: String,
    },
    /// The lease is over.
    #[error("the lease is over: {0}")]
    Fenced(String),
    /// What is asked contradicts what is.
    #[error("{0}")]
    Conflict(String),
    /// The configuration of a pipeline is wrong.
    #[error("{}", .0.message)]
    Diagnosed(protocol::api::Refused),
    /// The control plane will not do this however often it is asked.
    #[error("{what}: the control plane answers {status}: {message}")]
    Rejected {
        /// Method and address.
        what: String,
        /// A number of the 4xx kind.
        status: u16,
        /// The control plane's sentence.
        message: String,
    },
    /// No answer came within the call's patience.
    #[error("cannot reach {what}: {why}")]
    Unreachable {
        /// Method and address.
        what: String,
        /// Of the last try.
        why: String,
    },
    /// The peer's certificate is not trusted.
    #[error("{what}: {why}; if its authority is your own, name its certificate in api.ca_file")]
    Untrusted {
        /// Method and address.
        what: String,
        /// From the TLS library.
        why: String,
    },
    /// The control plane answered with an error of its own, again and again.
    #[error("{what}: the control plane answers {status}: {message}")]
    Server {
        /// Method and address.
        what: String,
        /// A number of the 5xx kind, or 429.
        status: u16,
        /// The control plane's sentence.
        message: String,
    },
    /// The answer is none of this API: another program listens there, or another version.
    #[error("{what}: an answer that is not of this API: {why}")]
    Unexpected {
        /// Method and address.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address that is no control plane's has nothing to give.
    #[error("{what} is answered {status}")]
    Nothing {
        /// Method and address.
        what: String,
        /// No number of the 2xx kind.
        status: u16,
    },
    /// What came is not what was named.
    #[error(
        "{what}: the content has SHA-256 {got} and {size} bytes, where {wanted} with {wanted_size} was named"
    )]
    Digest {
        /// Method and address.
        what: String,
        /// Of what came.
        got: String,
        /// Of what came.
        size: u64,
        /// As named.
        wanted: String,
        /// As named.
        wanted_size: u64,
    },
    /// The local file cannot be read or written.
    #[error("the file to be carried: {0}")]
    File(#[source] io::Error),
}

impl ClientError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Server { .. })
    }
}

/// When a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tries {
    /// After every failure that may pass.
    All,
    /// Only where no connection came about: the call is not idempotent.
    Connect,
    /// Never: its maker asks again anyway.
    Once,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Option<Bearer>,
    pub(crate) body: Bytes,
    pub(crate) json: bool,
    pub(crate) tries: Tries,
    /// How long the control plane may hold it open.
    pub(crate) wait: Duration,
    /// The most bytes of an answer.
    pub(crate) limit: usize,
}

/// The slowest network on which a body still comes through, in bytes a second.
const SLOWEST: u32 = 64 * 1024;
/// The most bytes of an ordinary answer.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// The most that is read of an error's body.
const MAX_ERROR: usize = 1024 * 1024;

/// An answer that is no failure of the kind that passes.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) what: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: awc::http::header::HeaderMap,
    pub(crate) body: Bytes,
}

/// How one try failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ClientError,
    pub(crate) connected: bool,
    /// The control plane names the pause itself.
    pub(crate) pause: Option<Duration>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>, token: &Bearer) -> Self {
        Self { token: Some(token.clone()), ..Self::open(method, path) }
    }

    /// One without a token.
    pub(crate) fn open(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            token: None,
            body: Bytes::new(),
            json: false,
            tries: Tries::All,
            wait: Duration::ZERO,
            limit: MAX_ANSWER,
        }
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).expect("bodies of the API have only string keys").into();
        self.json = true;
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn tries(mut self, tries: Tries) -> Self {
        self.tries = tries;
        self
    }

    pub(crate) fn held(mut self, wait_ms: u64) -> Self {
        self.wait = Duration::from_millis(wait_ms) + Duration::from_secs(5);
        self
    }

    /// Tries until an answer comes that is no passing failure, or patience is over.
    pub(crate) async fn send(self, link: &Link) -> Result<Answer, ClientError> {
        let deadline = Instant::now() + link.patience() + self.wait;
        let mut backoff = Backoff::up_to(Duration::from_secs(5));
        loop {
            let failure = match self.attempt(link).await {
                Ok(answer) => return answer.unless_refused(link),
                Err(failure) => failure,
            };
            let pause = failure.pause.unwrap_or_else(|| backoff.pause());
            if !self.again(&failure) || Instant::now() + pause >= deadline {
                return Err(failure.error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn again(&self, failure: &Failure) -> bool {
        let passing = failure.error.is_transient();
        match self.tries {
            Tries::All => passing,
            Tries::Connect => passing && (!failure.connected || failure.pause.is_some()),
            Tries::Once => false,
        }
    }

    async fn attempt(&self, link: &Link) -> Result<Answer, Failure> {
        let what = format!("{} {}", self.method, link.resolve(&self.path));
        let time = allowance(self.body.len()) + self.wait;
        match tokio::time::timeout(time, self.exchange(link, &what)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::lost(&what, format!("no answer within {} s", time.as_secs()))),
        }
    }

    async fn exchange(&self, link: &Link, what: &str) -> Result<Answer, Failure> {
        let mut request = request(link, &self.method, &self.path, what)?;
        if let Some(token) = &self.token {
            request = request.insert_header((AUTHORIZATION, token.header()));
        }
        if self.json {
            request = request.insert_header((CONTENT_TYPE, "application/json"));
        }
        let sent = request.send_body(self.body.clone()).await;
        let mut response = sent.map_err(|error| Failure::of_sending(what, error))?;
        let status = response.status();
        let limit = if status.is_success() { self.limit } else { MAX_ERROR };
        let body = response.body().limit(limit).await.map_err(|error| Failure::of_reading(what, error))?;
        Failure::passing(what, &response, &body)?;
        Ok(Answer { what: what.to_owned(), status, headers: response.headers().clone(), body })
    }
}

/// A request to a path of the API or a signed URL; in absolute form where a proxy takes it.
pub(crate) fn request(
    link: &Link,
    method: &Method,
    path: &str,
    what: &str,
) -> Result<ClientRequest, Failure> {
    let no_address =
        || Failure::useless(ClientError::Unexpected { what: what.to_owned(), why: "no address".to_owned() });
    let uri: Uri = link.resolve(path).parse().map_err(|_| no_address())?;
    let Some(proxy) = link.plain_proxy(&uri) else { return Ok(link.http.request(method.clone(), uri)) };
    let host = uri.authority().map(ToString::to_string).ok_or_else(no_address)?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(uri.to_string()).ok();
    parts.authority = format!("{}:{}", bracketed(&proxy.host), proxy.port).parse().ok();
    let through = Uri::from_parts(parts).map_err(|_| no_address())?;
    let request = link.http.request(method.clone(), through).insert_header((HOST, host));
    Ok(match &proxy.authorization {
        Some(value) => request.insert_header(("Proxy-Authorization", value.as_str())),
        None => request,
    })
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// How long one try may take that sends this much.
fn allowance(bytes: usize) -> Duration {
    Duration::from_secs(5) + Duration::from_secs(bytes as u64) / SLOWEST
}

impl Failure {
    /// The connection, once there, failed.
    pub(crate) fn lost(what: &str, why: String) -> Self {
        let error = ClientError::Unreachable { what: what.to_owned(), why };
        Self { error, connected: true, pause: None }
    }

    /// No repetition helps.
    pub(crate) fn useless(error: ClientError) -> Self {
        Self { error, connected: true, pause: None }
    }

    pub(crate) fn of_sending(what: &str, error: SendRequestError) -> Self {
        let SendRequestError::Connect(error) = error else { return Self::lost(what, error.to_string()) };
        match error {
            ConnectError::Disconnected => {
                Self::lost(what, "the connection was closed before an answer".to_owned())
            }
            ConnectError::Io(error) if is_distrust(&error) => {
                Self::useless(ClientError::Untrusted { what: what.to_owned(), why: error.to_string() })
            }
            error => Self { connected: false, ..Self::lost(what, error.to_string()) },
        }
    }

    pub(crate) fn of_reading(what: &str, error: PayloadError) -> Self {
        match error {
            PayloadError::Overflow => {
                let why = "it is larger than any answer may be".to_owned();
                Self::useless(ClientError::Unexpected { what: what.to_owned(), why })
            }
            error => Self::lost(what, error.to_string()),
        }
    }

    /// Tells answers apart that may be another one later.
    pub(crate) fn passing<S>(what: &str, response: &ClientResponse<S>, body: &[u8]) -> Result<(), Self> {
        let status = response.status();
        if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Ok(());
        }
        let named =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let error = ClientError::Server {
            what: what.to_owned(),
            status: status.as_u16(),
            message: sentence(status, body),
        };
        Err(Self { error, connected: true, pause: named.map(Duration::from_secs) })
    }
}

fn is_distrust(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// The message of an error's body, or of its status where it has none.
pub(crate) fn sentence(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => body.message,
        Err(_) => status.canonical_reason().unwrap_or("an error without a reason").to_lowercase(),
    }
}

impl Answer {
    fn unless_refused(self, link: &Link) -> Result<Self, ClientError> {
        let hidden = self.status == StatusCode::NOT_FOUND && self.body.is_empty();
        if hidden || self.status == StatusCode::UNAUTHORIZED {
            return Err(ClientError::Refused { url: link.resolve("") });
        }
        Ok(self)
    }

    /// The body of a success.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        if !self.status.is_success() {
            return Err(self.error());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ClientError::Unexpected { what: self.what, why: error.to_string() })
    }

    /// A success whose body is not looked at.
    pub(crate) fn done(self) -> Result<(), ClientError> {
        if self.status.is_success() { Ok(()) } else { Err(self.error()) }
    }

    /// What an answer of the 4xx kind says to everybody. A redirect is never followed: it would take the token along.
    pub(crate) fn error(self) -> ClientError {
        let message = sentence(self.status, &self.body);
        match self.status {
            StatusCode::CONFLICT => ClientError::Conflict(message),
            status if status.is_client_error() => {
                ClientError::Rejected { what: self.what, status: status.as_u16(), message }
            }
            status => ClientError::Unexpected { what: self.what, why: format!("status {status}") },
        }
    }

    /// The same for calls under a lease, where a conflict means that it is over.
    pub(crate) fn fenced(self) -> Result<Self, ClientError> {
        if self.status == StatusCode::CONFLICT {
            return Err(ClientError::Fenced(sentence(self.status, &self.body)));
        }
        Ok(self)
    }
}

/// One part of a path, so that whatever stands in it stays one part.
pub(crate) fn escaped(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = part.bytes();
    bytes.map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A path of several parts, its slashes kept.
pub(crate) fn escaped_path(path: &str) -> String {
    path.split('/').map(escaped).collect::<Vec<_>>().join("/")
}
