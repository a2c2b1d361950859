//! The provider as it is asked: what its discovery document tells, its keys, a code exchanged for an ID token.

use super::{
    Trouble,
    attempt::Attempt,
    id_token::{Checked, Expected, Keys, Wrong},
    identity::{Identity, is_all},
};
use crate::{
    outbound::{Ask, Outbound, Reply},
    plane::clock::wall_ms,
    settings::IdentityProvider,
    web::in_url,
};
use actix_web::http::Uri;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long what was read of the provider is used.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// For how long a provider that could not be read is not asked again.
const PAUSE: Duration = Duration::from_secs(5);
/// How often, at most, keys are read anew for a token that names one that is not known.
const KEYS_PAUSE: Duration = Duration::from_secs(30);
/// The most letters of a provider's own words that are repeated.
const LONGEST_WORDS: usize = 300;

/// The provider, and what was last read of it.
#[derive(Debug)]
pub(super) struct Provider {
    told: IdentityProvider,
    outbound: Arc<dyn Outbound>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Unread,
    Failed(Instant, String),
    Known(Arc<Known>),
}

#[derive(Debug)]
struct Known {
    document: Arc<Document>,
    read: Instant,
    keys: Keys,
    /// When the keys were last read for a token's sake.
    sought: Option<Instant>,
}

/// The discovery document, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What a code is exchanged for.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

/// What a provider that refuses says.
#[derive(Default, Deserialize)]
struct Said {
    error: Option<String>,
    error_description: Option<String>,
}

impl Provider {
    pub(super) fn new(told: IdentityProvider, outbound: Arc<dyn Outbound>) -> Result<Self, String> {
        let issuer = &told.issuer;
        if !is_safe(issuer) || issuer.contains('?') {
            return Err(format!(
                "`{issuer}` is no issuer: it is an address that begins with https://, for on any other way somebody \
                 could say who people are; http:// is for this host alone"
            ));
        }
        if told.client_id.is_empty() {
            return Err(
                "the client id is empty: give the one that the provider has for this server".to_owned()
            );
        }
        Ok(Self { told, outbound, state: Mutex::new(State::Unread) })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.told.issuer
    }

    /// Where a visitor says who they are.
    pub(super) async fn authorization(&self, attempt: &Attempt, callback: &str) -> Result<String, Trouble> {
        let known = self.known().await?;
        let scope = self.told.scopes.iter().filter(|scope| *scope != "openid").cloned();
        let scope = std::iter::once("openid".to_owned()).chain(scope).collect::<Vec<_>>().join(" ");
        let asked = form(&[
            ("response_type", "code"),
            ("client_id", &self.told.client_id),
            ("redirect_uri", callback),
            ("scope", &scope),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &attempt.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        let endpoint = &known.document.authorization_endpoint;
        let mark = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{mark}{asked}"))
    }

    /// A sound ID token for a code, and the token by which more can be asked.
    pub(super) async fn exchange(
        &self,
        attempt: &Attempt,
        code: &str,
        callback: &str,
    ) -> Result<(Checked, Option<String>), Trouble> {
        let known = self.known().await?;
        let ask = self.code_ask(&known.document, attempt, code, callback)?;
        let reply = self.asked(&ask).await?;
        if (400..500).contains(&reply.status) {
            let said: Said = serde_json::from_str(&reply.body).unwrap_or_default();
            let words = said.words().unwrap_or_else(|| format!("status {}", reply.status));
            return Err(Trouble::Refused(format!("the provider does not confirm this sign-in: {words}")));
        }
        let Tokens { id_token, access_token } = read(&ask.url, &reply)?;
        Ok((self.checked(known, &id_token, attempt).await?, access_token))
    }

    /// The client says who it is in the way that the provider takes.
    fn code_ask(
        &self,
        document: &Document,
        attempt: &Attempt,
        code: &str,
        callback: &str,
    ) -> Result<Ask, Trouble> {
        let client = &self.told.client_id;
        let ways = &document.token_endpoint_auth_methods_supported;
        let takes = |way: &str| ways.iter().any(|known| known == way);
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback),
            ("code_verifier", &attempt.verifier),
        ];
        let mut headers = vec![("Accept", "application/json".to_owned())];
        match &self.told.client_secret {
            None => fields.push(("client_id", client)),
            Some(secret) if ways.is_empty() || takes("client_secret_basic") => {
                let both = STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret)));
                headers.push(("Authorization", format!("Basic {both}")));
            }
            Some(secret) if takes("client_secret_post") => {
                fields.extend([("client_id", client.as_str()), ("client_secret", secret)]);
            }
            Some(_) => {
                let why =
                    "the provider takes no client secret, neither client_secret_basic nor client_secret_post";
                return Err(Trouble::Provider(why.to_owned()));
            }
        }
        Ok(Ask { url: document.token_endpoint.clone(), headers, form: Some(form(&fields)) })
    }

    /// What an ID token says. One that names a key that is not known has the keys read anew.
    async fn checked(&self, known: Arc<Known>, token: &str, attempt: &Attempt) -> Result<Checked, Trouble> {
        let (issuer, client) = (self.issuer(), self.told.client_id.as_str());
        let expected = Expected { issuer, client, nonce: &attempt.nonce, now: wall_ms() / 1000 };
        let checked = match known.keys.check(token, expected) {
            Err(Wrong::UnknownKey) => match self.sought(&known).await? {
                Some(newer) => newer.keys.check(token, expected),
                None => Err(Wrong::UnknownKey),
            },
            other => other,
        };
        checked.map_err(|wrong| {
            let why = words(&wrong.to_string());
            Trouble::Refused(format!("the provider's ID token is not taken: {why}"))
        })
    }

    /// Who it is, with what the ID token leaves to be asked.
    pub(super) async fn identity(&self, checked: Checked, access: Option<&str>) -> Result<Identity, Trouble> {
        let group_claim = self.told.group_claim.as_deref();
        let document = self.known().await?.document.clone();
        let besides = match (&document.userinfo_endpoint, access) {
            (Some(endpoint), Some(access)) if !is_all(&checked.claims, group_claim) => {
                self.besides(endpoint, access, &checked.subject).await?
            }
            _ => Map::new(),
        };
        Ok(Identity::new(self.issuer(), checked, &besides, group_claim))
    }

    async fn besides(
        &self,
        endpoint: &str,
        access: &str,
        subject: &str,
    ) -> Result<Map<String, Value>, Trouble> {
        let headers = vec![("Authorization", format!("Bearer {access}"))];
        let ask = Ask { url: endpoint.to_owned(), headers, form: None };
        let claims: Map<String, Value> = read(&ask.url, &self.asked(&ask).await?)?;
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(Trouble::Refused(format!("{endpoint} answers about somebody else")));
        }
        Ok(claims)
    }

    /// What is known of the provider, read where it is not or no longer.
    async fn known(&self) -> Result<Arc<Known>, Trouble> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Known(known) if known.read.elapsed() < FRESH => return Ok(known.clone()),
            State::Failed(at, why) if at.elapsed() < PAUSE => return Err(Trouble::Provider(why.clone())),
            _ => {}
        }
        match self.read().await {
            Ok(known) => {
                let known = Arc::new(known);
                *state = State::Known(known.clone());
                Ok(known)
            }
            Err(trouble) => {
                *state = State::Failed(Instant::now(), trouble.to_string());
                Err(trouble)
            }
        }
    }

    async fn read(&self) -> Result<Known, Trouble> {
        let issuer = self.issuer();
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Document = self.get(url.clone()).await?;
        if document.issuer != *issuer {
            let own = words(&document.issuer);
            let why = format!(
                "{url} is of the issuer {own}, not of {issuer}: they have to be the same to the letter"
            );
            return Err(Trouble::Provider(why));
        }
        let Document { authorization_endpoint, token_endpoint, jwks_uri, userinfo_endpoint, .. } = &document;
        let all = [authorization_endpoint, token_endpoint, jwks_uri].into_iter().chain(userinfo_endpoint);
        if let Some(unsafe_one) = all.into_iter().find(|address| !is_safe(address)) {
            let why = format!("{url} has an address that is not https: {}", words(unsafe_one));
            return Err(Trouble::Provider(why));
        }
        let keys = self.keys(&document).await?;
        Ok(Known { document: document.into(), read: Instant::now(), keys, sought: None })
    }

    async fn keys(&self, document: &Document) -> Result<Keys, Trouble> {
        let set: Value = self.get(document.jwks_uri.clone()).await?;
        Keys::read(set).ok_or_else(|| Trouble::Provider(format!("{} has no list of keys", document.jwks_uri)))
    }

    /// What is known with keys that are newer than these; none: they were read anew a moment ago.
    async fn sought(&self, than: &Arc<Known>) -> Result<Option<Arc<Known>>, Trouble> {
        let mut state = self.state.lock().await;
        if let State::Known(known) = &*state
            && !Arc::ptr_eq(known, than)
        {
            return Ok(Some(known.clone()));
        }
        if than.sought.is_some_and(|at| at.elapsed() < KEYS_PAUSE) {
            return Ok(None);
        }
        let keys = self.keys(&than.document).await?;
        let (document, sought) = (than.document.clone(), Some(Instant::now()));
        let known = Arc::new(Known { document, read: than.read, keys, sought });
        *state = State::Known(known.clone());
        Ok(Some(known))
    }

    async fn get<T: DeserializeOwned>(&self, url: String) -> Result<T, Trouble> {
        let headers = vec![("Accept", "application/json".to_owned())];
        let ask = Ask { url, headers, form: None };
        read(&ask.url, &self.asked(&ask).await?)
    }

    async fn asked(&self, ask: &Ask) -> Result<Reply, Trouble> {
        let answered = self.outbound.ask(ask).await;
        answered.map_err(|why| Trouble::Provider(format!("the provider cannot be asked: {why}")))
    }
}

/// An answer that is what was asked for.
fn read<T: DeserializeOwned>(url: &str, reply: &Reply) -> Result<T, Trouble> {
    if reply.status != 200 {
        return Err(Trouble::Provider(format!("{url} is answered {}", reply.status)));
    }
    // What the answer has is not repeated: there may be a token in it.
    let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    serde_json::from_str(&reply.body).map_err(|error| {
        Trouble::Provider(format!("{url} answers otherwise than it should, at {}", place(error)))
    })
}

impl Said {
    fn words(&self) -> Option<String> {
        let error = words(self.error.as_deref()?);
        Some(match &self.error_description {
            Some(description) => format!("{error}: {}", words(description)),
            None => error,
        })
    }
}

/// What the provider says where it does not let somebody in.
pub(super) fn said(error: &str, description: Option<&str>) -> String {
    let said = Said { error: Some(error.to_owned()), error_description: description.map(str::to_owned) };
    said.words().unwrap_or_default()
}

/// Another's words, for people to read.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect()
}

/// Whether nobody on the way can read or change what goes there.
fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty() || has_user || address.contains('#') {
        return false;
    }
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        _ => false,
    }
}

/// Fields and values of a form.
fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A value of a form or a query: nothing in it has a meaning there.
fn encoded(value: &str) -> String {
    in_url(value).replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_host_itself_are_safe() {
        for good in [
            "https://id.example",
            "https://id.example:8443/realms/x",
            "http://127.0.0.1:80",
            "http://localhost/x",
            "http://[::1]:1/",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "",
            "id.example",
            "http://id.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "ftp://id.example",
            "https://",
            "https://me@id.example",
            "https://id.example/#x",
            "/path",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn a_form_keeps_its_fields_apart() {
        assert_eq!(form(&[("a", "x&b=c d/e+"), ("n", "ü")]), "a=x%26b%3Dc%20d%2Fe%2B&n=%C3%BC");
    }

    #[test]
    fn what_a_provider_says_is_repeated_in_one_short_line() {
        assert_eq!(said("access_denied", None), "access_denied");
        assert_eq!(said("a", Some("b\r\nc")), "a: bc");
        assert!(said("a", Some(&"x".repeat(1000))).len() < 400);
    }
}
