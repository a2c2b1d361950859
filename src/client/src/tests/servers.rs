//! A server that answers as told and remembers what it was asked, and a proxy before it.

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    body::SizedStream,
    dev::ServerHandle,
    web::{self, Bytes, Data},
};
use futures_util::{StreamExt, stream};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// What every call is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// An empty list, and 201 for a PUT.
    Items,
    Body(Vec<u8>),
    /// With the header that says so.
    Terminal(Vec<u8>),
    /// Half of what is asked for, then the connection is cut; the second half is whole.
    CutHalfway(Vec<u8>),
    Redirect,
    Status(u16),
    /// A configuration's diagnostics.
    Refused,
    /// A body, after that time.
    Late(Duration, Vec<u8>),
}

type Head = (String, BTreeMap<String, String>);

#[derive(Clone)]
struct Shared {
    answer: Arc<Mutex<Answer>>,
    heads: Arc<Mutex<Vec<Head>>>,
}

/// Ends when dropped.
pub(super) struct Server {
    shared: Shared,
    address: SocketAddr,
    handle: ServerHandle,
}

impl Server {
    pub(super) fn plain() -> Self {
        Self::start(None)
    }

    pub(super) fn with_tls() -> Self {
        let path = super::certificate;
        let chain =
            CertificateDer::pem_file_iter(path("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Self::start(Some(versions.with_no_client_auth().with_single_cert(chain, key).unwrap()))
    }

    fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { answer: Arc::new(Mutex::new(Answer::Items)), heads: Arc::default() };
        let (tell, told) = std::sync::mpsc::channel();
        let data = Data::new(shared.clone());
        thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let app = move || {
                    let limit = web::PayloadConfig::new(1 << 30);
                    App::new().app_data(data.clone()).app_data(limit).default_service(web::to(answer))
                };
                let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(0);
                let server = match tls {
                    Some(tls) => server.listen_rustls_0_23(listener, tls).unwrap().run(),
                    None => server.listen(listener).unwrap().run(),
                };
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { shared, address, handle: told.recv().unwrap() }
    }

    pub(super) fn serve(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// Method and address, headers, of every request so far.
    pub(super) fn heads(&self) -> Vec<Head> {
        self.shared.heads.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn answer(shared: Data<Shared>, request: HttpRequest, _: Bytes) -> HttpResponse {
    let headers =
        request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    shared.heads.lock().unwrap().push((format!("{} {}", request.method(), request.uri()), headers.collect()));
    let answer = shared.answer.lock().unwrap().clone();
    match answer {
        Answer::Items if request.method() == "PUT" => HttpResponse::Created().finish(),
        Answer::Items => HttpResponse::Ok().json(serde_json::json!({"items": []})),
        Answer::Body(bytes) => HttpResponse::Ok().body(bytes),
        Answer::Terminal(bytes) => HttpResponse::Ok().insert_header(("X-Terminal", "true")).body(bytes),
        Answer::CutHalfway(bytes) => halves(&request, bytes),
        Answer::Redirect => HttpResponse::Found().insert_header(("Location", "/elsewhere")).finish(),
        Answer::Status(status) => HttpResponse::build(status.try_into().unwrap()).finish(),
        Answer::Refused => HttpResponse::BadRequest().json(
            serde_json::json!({"message": "the configuration is wrong", "diagnostics": ["c:1:1: error"]}),
        ),
        Answer::Late(after, bytes) => {
            tokio::time::sleep(after).await;
            HttpResponse::Ok().body(bytes)
        }
    }
}

fn halves(request: &HttpRequest, bytes: Vec<u8>) -> HttpResponse {
    let range = request.headers().get("range").map(|value| value.to_str().unwrap());
    let first =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match first {
        Some(first) => {
            let range = format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len());
            HttpResponse::PartialContent()
                .insert_header(("Content-Range", range))
                .body(bytes[first..].to_vec())
        }
        None => {
            let size = bytes.len() as u64;
            let half: Vec<_> =
                bytes[..bytes.len() / 2].chunks(50_000).map(|p| Ok(Bytes::copy_from_slice(p))).collect();
            let cut = stream::iter(half).chain(stream::once(async { Err(io::Error::other("cut")) }));
            HttpResponse::Ok().body(SizedStream::new(size, cut))
        }
    }
}

/// Leads every connection to one address, whatever it is asked for.
pub(super) struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(super) fn to(target: SocketAddr) -> Self {
        Self::start(target, true)
    }

    pub(super) fn refusing(target: SocketAddr) -> Self {
        Self::start(target, false)
    }

    fn start(target: SocketAddr, willing: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let told = heads.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let told = told.clone();
                thread::spawn(move || lead(client, target, willing, &told));
            }
        });
        Self { address, heads }
    }

    pub(super) fn url(&self, user: &str) -> String {
        format!("http://{user}{}", self.address)
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn lead(
    mut client: TcpStream,
    target: SocketAddr,
    willing: bool,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    heads.lock().unwrap().push(head.clone());
    if !willing {
        return client.write_all(b"HTTP/1.1 407 Who are you\r\n\r\n");
    }
    let mut server = TcpStream::connect(target)?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")?;
    } else {
        server.write_all(head.as_bytes())?;
    }
    let (mut back, mut to_client) = (server.try_clone()?, client);
    thread::spawn(move || io::copy(&mut back, &mut to_client));
    io::copy(&mut reader, &mut server).map(drop)
}
