//! Calls to others than a control plane: one request each, and how it was answered.

use crate::{
    call::{ClientError, Failure, request},
    proxy::Proxies,
    transport::{Transport, TransportError},
};
use awc::http::{Method, header::RETRY_AFTER};
use bytes::Bytes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// So much of an answer to what was posted is kept; of a longer one nothing. GitHub describes the repository that a token
/// is for in several thousand bytes.
const KEPT: usize = 64 * 1024;
/// The most bytes of an answer that is asked for.
const LONGEST: usize = 512 * 1024;

/// Calls any address. A redirect is an answer, and not followed.
#[derive(Clone, Debug)]
pub struct Messenger {
    /// With the roots that the system trusts.
    verified: Transport,
    /// Whatever certificate is shown.
    unverified: Transport,
}

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of HTTP.
    pub status: u16,
    /// For how long it asks not to be called again.
    pub pause: Option<Duration>,
    /// Its beginning; what was asked for comes whole.
    pub body: String,
}

impl Messenger {
    /// Through these proxies; connects to nothing yet.
    pub fn new(proxies: Proxies) -> Result<Self, TransportError> {
        let verified = Transport::to_anywhere(proxies.clone())?;
        Ok(Self { verified, unverified: Transport::to_anybody(proxies)? })
    }

    /// Posts a body once; to somebody with a certificate that is trusted, unless told otherwise.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, String)],
        body: Bytes,
        verify_tls: bool,
    ) -> Result<Reply, ClientError> {
        self.call(&Asked { method: Method::POST, url, headers, body, whole: false, verify_tls }).await
    }

    /// Asks once for what an address has, by a form where there is one: the whole answer, or none.
    pub async fn ask(
        &self,
        url: &str,
        headers: &[(&str, String)],
        form: Option<String>,
    ) -> Result<Reply, ClientError> {
        let Some(form) = form else {
            let body = Bytes::new();
            return self
                .call(&Asked { method: Method::GET, url, headers, body, whole: true, verify_tls: true })
                .await;
        };
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
        let (headers, body) = (&*headers, form.into());
        self.call(&Asked { method: Method::POST, url, headers, body, whole: true, verify_tls: true }).await
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Reply, ClientError> {
        let what = format!("{} {}", asked.method, asked.url);
        let transport = if asked.verify_tls { &self.verified } else { &self.unverified };
        match timeout(PATIENCE, exchange(transport, asked, &what)).await {
            Ok(answered) => answered.map_err(|failure| failure.error),
            Err(_) => {
                let why = format!("no answer within {} s", PATIENCE.as_secs());
                Err(ClientError::Unreachable { what, why })
            }
        }
    }
}

async fn exchange(transport: &Transport, asked: &Asked<'_>, what: &str) -> Result<Reply, Failure> {
    let link = transport.kept_link();
    let mut request = request(&link, &asked.method, asked.url, what)?;
    for (name, value) in asked.headers {
        request = request.insert_header((*name, value.as_str()));
    }
    let sent = request.send_body(asked.body.clone()).await;
    let mut answer = sent.map_err(|error| Failure::of_sending(what, error))?;
    let body = if asked.whole {
        let body = answer.body().limit(LONGEST).await;
        body.map_err(|error| Failure::of_reading(what, error))?
    } else {
        // What comes of it is in its status: a body that breaks off or is too long says nothing more.
        answer.body().limit(KEPT).await.unwrap_or_default()
    };
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply { status: answer.status().as_u16(), pause: pause(header), body })
}

/// A call, and whether its answer is wanted whole.
struct Asked<'a> {
    method: Method,
    url: &'a str,
    headers: &'a [(&'a str, String)],
    body: Bytes,
    whole: bool,
    verify_tls: bool,
}

/// As the standard has it, or as providers say that a limit of calls is reached.
fn pause<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    let number = |name: &str| header(name)?.trim().parse::<u64>().ok();
    let named = number(RETRY_AFTER.as_str()).map(Duration::from_secs);
    let is_out = ["x-ratelimit-remaining", "ratelimit-remaining"].iter().any(|name| number(name) == Some(0));
    let reset = || number("x-ratelimit-reset").or_else(|| number("ratelimit-reset")).filter(|_| is_out);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    named.or_else(|| reset().map(|at| Duration::from_secs(at).saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_when_to_come_again() {
        let pause = |headers: &[(&str, &'static str)]| {
            super::pause(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert_eq!(pause(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        let out = pause(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999")]);
        assert!(out.is_some_and(|pause| pause > Duration::from_secs(1)));
        assert_eq!(pause(&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "99999999999")]), None);
        assert_eq!(pause(&[("retry-after", "soon")]), None);
    }
}
