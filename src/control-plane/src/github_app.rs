//! Tokens of a GitHub App: each is good for an hour and for the repositories that the App was installed for, and is asked for
//! with a token that the App's own key signs.
//!
//! What a project has of an App lies sealed where another has a provider's token, so it is kept and sealed anew as that is.

use crate::{
    engine::task::Millis,
    outbound::{Outbound, Post, Reply},
    plane::token::{TokenHash, hash},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::webhook::GithubApp;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// What a sealed App begins with; no token has a line's end.
const MARK: &str = "github app\n";
/// A token is used so long, of its hour.
const GOOD_MS: Millis = 50 * 60 * 1000;
/// GitHub takes no longer for one that asks, in seconds, and its clock may be behind ours.
const ASKING: i64 = 9 * 60;
const BEHIND: i64 = 60;
/// How long a token for a task may take: its launch waits for that.
const PATIENCE: Duration = Duration::from_secs(15);
/// So often it is asked for where GitHub has no answer, with a pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// All that a token for one repository may read. The second comes with each right of an App's.
const READS: [&str; 2] = ["contents", "metadata"];

/// Why there is no token, for whoever runs the control plane.
pub(crate) type NoToken = String;

/// What lets the control plane in at a provider.
pub(crate) enum Credential {
    /// A token of somebody's.
    Token(String),
    /// An App, which gives out tokens.
    App(GithubApp),
}

impl Credential {
    /// As it is to be sealed.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Token(token) => token.clone(),
            Self::App(app) => {
                format!("{MARK}{}", serde_json::to_string(app).expect("it has only texts and numbers"))
            }
        }
    }

    /// None: an App that cannot be read.
    pub(crate) fn read(text: String) -> Option<Self> {
        match text.strip_prefix(MARK) {
            Some(app) => serde_json::from_str(app).ok().map(Self::App),
            None => Some(Self::Token(text)),
        }
    }
}

/// What is wrong with an App, if anything is.
pub(crate) fn check(app: &GithubApp) -> Result<(), String> {
    if app.id.is_empty() || app.id.len() > 100 || !app.id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("the App's id is its number or its client id".to_owned());
    }
    signer(&app.private_key).map(drop)
}

fn signer(pem: &str) -> Result<RsaKeyPair, String> {
    let no_key = "the App's key is no RSA key in PEM: take the file that GitHub gave out";
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| no_key.to_owned())?;
    let read = match &key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(no_key.to_owned()),
    };
    read.map_err(|error| format!("{no_key} ({error})"))
}

/// By which the App asks (RFC 7519, RS256).
fn asking(app: &GithubApp, now_ms: i64) -> Result<String, NoToken> {
    let (key, now) = (signer(&app.private_key)?, now_ms / 1000);
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "iss": app.id, "iat": now - BEHIND, "exp": now + ASKING });
    let signed = format!("{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "the App's key signs nothing".to_owned())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Tokens that Apps gave out, as long as they are good.
#[derive(Default)]
pub(crate) struct AppTokens(Mutex<HashMap<TokenHash, (String, Millis)>>);

/// Without what nobody else may know.
impl fmt::Debug for AppTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppTokens(***)")
    }
}

/// What GitHub answers.
#[derive(Deserialize)]
struct Given {
    token: String,
    /// What it may do, and how far.
    #[serde(default)]
    permissions: HashMap<String, String>,
    /// Not there where it is good for all that the App was installed for.
    repositories: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    full_name: String,
}

impl Given {
    /// Whether it reads this repository, and neither does more nor reads another.
    fn is_for(&self, path: &str) -> bool {
        let names = self.repositories.as_deref().unwrap_or_default();
        let is_only = matches!(names, [only] if only.full_name.eq_ignore_ascii_case(path));
        let reads = |(what, how): (&String, &String)| READS.contains(&&**what) && how == "read";
        is_only && self.permissions.contains_key(READS[0]) && self.permissions.iter().all(reads)
    }
}

impl AppTokens {
    /// One that is good still, or a new one; `api` is where the API is.
    pub(crate) async fn get(
        &self,
        app: &GithubApp,
        api: &str,
        outbound: &dyn Outbound,
        (now, now_ms): (Millis, i64),
    ) -> Result<String, NoToken> {
        let known = hash(&format!("{api}\n{}\n{}\n{}", app.id, app.installation, app.private_key));
        if let Some((token, until)) = self.kept().get(&known)
            && *until > now
        {
            return Ok(token.clone());
        }
        let token = given(app, api, outbound, (now_ms, Vec::new())).await?.token;
        let mut kept = self.kept();
        kept.retain(|_, (_, until)| *until > now);
        kept.insert(known, (token.clone(), now + GOOD_MS));
        Ok(token)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<TokenHash, (String, Millis)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new one that reads the repository at this path of the App's host and nothing else, for all its hour.
pub(crate) async fn for_one_repository(
    app: &GithubApp,
    api: &str,
    outbound: &dyn Outbound,
    (path, now_ms): (&str, i64),
) -> Result<String, NoToken> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let body = json!({ "repositories": [name], "permissions": { READS[0]: "read" } }).to_string();
    let giving = given(app, api, outbound, (now_ms, body.into_bytes()));
    let slow = |_| format!("the GitHub App {} gives no token within {} s", app.id, PATIENCE.as_secs());
    let given = timeout(PATIENCE, giving).await.map_err(slow)??;
    if !given.is_for(path) {
        return Err(format!("the GitHub App {} gives no token that reads {path} and nothing else", app.id));
    }
    Ok(given.token)
}

/// One for all that the App may, unless the body asks for less.
async fn given(
    app: &GithubApp,
    api: &str,
    outbound: &dyn Outbound,
    (now_ms, body): (i64, Vec<u8>),
) -> Result<Given, NoToken> {
    let (api, installation) = (api.trim_end_matches('/'), app.installation);
    let mut headers = vec![
        ("Authorization", format!("Bearer {}", asking(app, now_ms)?)),
        ("Accept", "application/vnd.github+json".to_owned()),
        ("X-GitHub-Api-Version", "2022-11-28".to_owned()),
    ];
    // Who asks for all comes again later; a task's launch waits here.
    let tries = if body.is_empty() { 1 } else { TRIES };
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json".to_owned()));
    }
    let url = format!("{api}/app/installations/{installation}/access_tokens");
    let post = Post { url, headers, body, verify_tls: true };
    let refused = |why: String| format!("the GitHub App {} gives no token: {why}", app.id);
    let reply = answered(&post, outbound, tries).await.map_err(refused)?;
    if reply.status != 201 {
        let said: String = reply.body.chars().filter(|c| !c.is_control()).take(300).collect();
        return Err(refused(format!("status {}: {said}", reply.status)));
    }
    let given: Result<Given, _> = serde_json::from_str(&reply.body);
    let given = given.map_err(|_| refused("its answer has none".to_owned()))?;
    let is_token = given.token.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then_some(given).ok_or_else(|| refused("what it gives is none".to_owned()))
}

/// What comes of it, of several tries the last where the others were in vain.
async fn answered(post: &Post, outbound: &dyn Outbound, tries: u32) -> Result<Reply, String> {
    for _ in 1..tries {
        match outbound.post(post).await {
            Ok(reply) if reply.status < 500 && reply.status != 429 => return Ok(reply),
            _ => sleep(PAUSE).await,
        }
    }
    outbound.post(post).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_a_task_reads_its_repository_and_neither_does_more_nor_reads_another() {
        let is_for = |permissions: serde_json::Value, names: &[&str]| {
            let repositories: Vec<_> = names.iter().map(|name| json!({ "full_name": name })).collect();
            let given = json!({ "token": "t", "permissions": permissions, "repositories": repositories });
            serde_json::from_value::<Given>(given).unwrap().is_for("acme/app")
        };
        let reads = || json!({ "contents": "read", "metadata": "read" });
        assert!(is_for(reads(), &["Acme/app"]));
        assert!(!is_for(reads(), &["acme/app", "acme/other"]) && !is_for(reads(), &["eve/app"]));
        assert!(!is_for(json!({ "contents": "write" }), &["acme/app"]));
        assert!(!is_for(json!({ "contents": "read", "issues": "read" }), &["acme/app"]));
        assert!(!is_for(json!({}), &["acme/app"]));
        let all = serde_json::from_value::<Given>(json!({ "token": "t", "permissions": reads() })).unwrap();
        assert!(!all.is_for("acme/app"), "one for all repositories says none");
    }

    #[test]
    fn what_is_sealed_is_read_again_as_what_it_was() {
        let app = GithubApp { id: "7".to_owned(), installation: 9, private_key: "k".to_owned() };
        let again = |credential: Credential| Credential::read(credential.text());
        assert!(matches!(again(Credential::App(app.clone())), Some(Credential::App(same)) if same == app));
        assert!(
            matches!(again(Credential::Token("t".to_owned())), Some(Credential::Token(same)) if same == "t")
        );
        assert!(Credential::read(format!("{MARK}x")).is_none());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let app = GithubApp { id: "7".to_owned(), installation: 9, private_key: "k".to_owned() };
        assert!(check(&app).unwrap_err().contains("no RSA key in PEM"));
        assert!(check(&GithubApp { id: "7 ".to_owned(), ..app }).unwrap_err().contains("id"));
    }
}
