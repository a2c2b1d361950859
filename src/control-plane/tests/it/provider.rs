//! A provider of OpenID Connect for tests, over real sockets: it says of a visitor what it is told to say.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use client::{Messenger, Proxies};
use control_plane::{Answering, Ask, IdentityProvider, Outbound, Post, Reply};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) const CLIENT: &str = "roundhouse";
pub(crate) const SECRET: &str = "the client's: secret";

/// Calls others as the program does.
#[derive(Debug)]
pub(crate) struct Caller(Messenger);

impl Caller {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Messenger::new(Proxies::default()).unwrap()))
    }
}

impl Outbound for Caller {
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a> {
        Box::pin(async move {
            reply(self.0.post(&post.url, &post.headers, post.body.clone().into(), post.verify_tls).await)
        })
    }

    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a> {
        Box::pin(async move { reply(self.0.ask(&ask.url, &ask.headers, ask.form.clone()).await) })
    }
}

fn reply(answered: Result<client::Reply, client::ClientError>) -> Result<Reply, String> {
    let reply = answered.map_err(|error| error.to_string())?;
    Ok(Reply { status: reply.status, pause: reply.pause, body: reply.body })
}

/// The provider, as long as the test's process lives.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) url: String,
    shared: Arc<Mutex<Says>>,
}

/// What it says.
pub(crate) struct Says {
    /// Of the ID token, besides what belongs there; what is null is left out.
    pub(crate) claims: Value,
    /// To whoever asks with an access token, besides the subject.
    pub(crate) besides: Value,
    /// In the place of what belongs into the discovery document.
    pub(crate) document: Value,
    /// In the place of what belongs into a token's header.
    pub(crate) header: Value,
    /// In the place of tokens.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// The name of its one key.
    pub(crate) key_id: String,
    /// Paths that it was asked for.
    pub(crate) asked: Vec<String>,
    key: EcdsaKeyPair,
    codes: HashMap<String, (String, String)>,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The fields of a query or a form, by name.
pub(crate) fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect()
}

fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match first {
            b'%' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// With the members of another in the place of its own; those that are null go.
fn changed(mut value: Value, by: &Value) -> Value {
    for (name, other) in by.as_object().into_iter().flatten() {
        value[name] = other.clone();
        if other.is_null() {
            value.as_object_mut().unwrap().remove(name);
        }
    }
    value
}

impl Provider {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let says = Says {
            claims: json!({"sub": "ada-1", "email": "Ada@Example.org", "email_verified": true}),
            besides: json!({}),
            document: json!({}),
            header: json!({}),
            refusal: None,
            key_id: "one".to_owned(),
            asked: Vec::new(),
            key: key(),
            codes: HashMap::new(),
        };
        let provider = Self { url, shared: Arc::new(Mutex::new(says)) };
        let serving = provider.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(&stream));
            }
        });
        provider
    }

    /// How a control plane knows it.
    pub(crate) fn settings(&self) -> IdentityProvider {
        let told = IdentityProvider::new(self.url.clone(), CLIENT.to_owned());
        IdentityProvider {
            client_secret: Some(SECRET.to_owned()),
            group_claim: Some("groups".to_owned()),
            ..told
        }
    }

    pub(crate) fn says(&self) -> MutexGuard<'_, Says> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has another key from now on.
    pub(crate) fn renew_key(&self, id: &str) {
        let mut says = self.says();
        (says.key, says.key_id) = (key(), id.to_owned());
    }

    /// A visitor says who they are where the control plane led them: the query with which they go back.
    pub(crate) fn authorize(&self, location: &str) -> String {
        let (endpoint, query) = location.split_once('?').unwrap();
        assert!(endpoint.ends_with("/authorize"), "{endpoint}");
        let asked = fields(query);
        let field = |name: &str| asked.get(name).unwrap_or_else(|| panic!("no {name}: {location}")).clone();
        assert_eq!((field("response_type"), field("client_id")), ("code".to_owned(), CLIENT.to_owned()));
        assert_eq!((field("code_challenge_method"), field("scope")), ("S256".into(), "openid email".into()));
        assert!(field("redirect_uri").ends_with("/sign-in/oidc/callback"), "{location}");
        let mut says = self.says();
        let code = format!("code-{}", says.codes.len());
        says.codes.insert(code.clone(), (field("code_challenge"), field("nonce")));
        format!("code={code}&state={}", field("state"))
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut input = BufReader::new(stream);
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let lines = input.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned())))
            .collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        input.read_exact(&mut body).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        self.says().asked.push(path.clone());
        let authorization = headers.get("authorization").map(String::as_str).unwrap_or_default();
        let (status, body) = match path.strip_prefix("/authorize?") {
            Some(query) => (200, self.page(query)),
            None => {
                let (status, body) = self.answer(&path, authorization, &String::from_utf8_lossy(&body));
                (status, body.to_string())
            }
        };
        let length = body.len();
        let mut output = stream;
        write!(output, "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .ok()
    }

    /// A visitor's browser is led back by a page of this host.
    fn page(&self, query: &str) -> String {
        let back =
            format!("{}?{}", fields(query)["redirect_uri"], self.authorize(&format!("/authorize?{query}")));
        format!(
            "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={}\">",
            back.replace('&', "&amp;")
        )
    }

    fn answer(&self, path: &str, authorization: &str, body: &str) -> (u16, Value) {
        let says = self.says();
        match path {
            "/.well-known/openid-configuration" => (200, self.document(&says)),
            "/keys" => {
                let (x, y) = says.key.public_key().as_ref()[1..].split_at(32);
                let key = json!({"kty": "EC", "crv": "P-256", "kid": says.key_id, "x": encoded(x), "y": encoded(y)});
                (200, json!({"keys": [key]}))
            }
            "/token" => self.tokens(&says, authorization, &fields(body)),
            "/userinfo" if authorization == "Bearer access-1" => {
                (200, changed(json!({"sub": says.claims["sub"]}), &says.besides))
            }
            _ => (404, json!({})),
        }
    }

    fn document(&self, says: &Says) -> Value {
        let url = &self.url;
        let document = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"),
            "userinfo_endpoint": format!("{url}/userinfo"),
        });
        changed(document, &says.document)
    }

    /// It takes codes more than once, unlike others: whoever it serves has to see to that.
    fn tokens(&self, says: &Says, authorization: &str, form: &HashMap<String, String>) -> (u16, Value) {
        if let Some((status, body)) = says.refusal {
            return (status, serde_json::from_str(body).unwrap_or_default());
        }
        // Name and secret are encoded before they are put together.
        let both = base64::engine::general_purpose::STANDARD
            .encode(format!("{CLIENT}:the%20client%27s%3A%20secret"));
        if authorization != format!("Basic {both}") {
            return (401, json!({"error": "invalid_client"}));
        }
        let refused = (400, json!({"error": "invalid_grant", "error_description": "no such code"}));
        let Some((challenge, nonce)) = form.get("code").and_then(|code| says.codes.get(code)) else {
            return refused;
        };
        let verifier = form.get("code_verifier").map(String::as_str).unwrap_or_default();
        if encoded(digest(&SHA256, verifier.as_bytes()).as_ref()) != *challenge {
            return refused;
        }
        (
            200,
            json!({"access_token": "access-1", "token_type": "Bearer", "id_token": self.id_token(says, nonce)}),
        )
    }

    fn id_token(&self, says: &Says, nonce: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": self.url, "aud": CLIENT, "nonce": nonce, "iat": now, "exp": now + 300});
        let header = changed(json!({"alg": "ES256", "kid": says.key_id}), &says.header);
        let part = |value: &Value| encoded(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&changed(claims, &says.claims)));
        let signature = says.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature.as_ref()))
    }
}
