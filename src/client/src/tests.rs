//! Against small real servers: TLS, proxies, cut connections, and answers of strangers.

mod servers;

use crate::{ClientError, Messenger, Proxies, Settings, Transport, TransportError};
use protocol::{
    api::NewPipeline,
    ids::{Digest, PipelineId, ResourceClass},
    policies::{Asked, NewBundle},
    transfer::Content,
};
use ring::digest::{SHA256, digest};
use servers::{Answer, Proxy, Server};
use std::{fs::File, io::Read, path::PathBuf, time::Duration};

const PATIENCE: Duration = Duration::from_millis(400);

fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/certificates").join(name)
}

fn transport(settings: Settings) -> Transport {
    Transport::new(Settings { patience: PATIENCE, ..settings }).unwrap()
}

fn through(proxy: &Proxy, variable: &'static str) -> Proxies {
    let url = proxy.url("me:secret@");
    Proxies::read(|name| (name == variable).then(|| url.clone())).unwrap()
}

fn class() -> ResourceClass {
    "acme/linux".parse().unwrap()
}

fn content(bytes: &[u8]) -> Content {
    let hash = digest(&SHA256, bytes);
    Content { digest: Digest::of_bytes(hash.as_ref().try_into().unwrap()), size: bytes.len() as u64 }
}

fn trusting(server: &Server, authority: &str) -> Settings {
    Settings { ca_file: Some(certificate(authority)), ..Settings::new(server.url("https", "localhost")) }
}

#[actix_rt::test]
async fn a_server_is_trusted_for_the_authority_in_ca_file() {
    let server = Server::with_tls();
    let operator = transport(trusting(&server, "authority.pem")).operator("token");
    assert!(operator.tokens(&class()).await.unwrap().is_empty());
    assert_eq!(server.heads()[0].0, "GET /api/v3/runner/token?resource-class=acme%2Flinux");
    assert_eq!(server.heads()[0].1["authorization"], "Bearer token");
}

#[actix_rt::test]
async fn another_authority_is_not_trusted_and_not_asked_again() {
    let server = Server::with_tls();
    let operator = transport(trusting(&server, "another-authority.pem")).operator("token");
    let error = operator.tokens(&class()).await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }) && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("api.ca_file"), "{error}");
    assert!(server.heads().is_empty());
}

#[test]
fn a_file_without_certificates_is_refused_at_once() {
    let with = |path: PathBuf| Transport::new(Settings { ca_file: Some(path), ..Settings::new("https://a") });
    let missing = with(certificate("no-such.pem")).unwrap_err();
    assert!(matches!(missing, TransportError::CaFile { .. }) && missing.to_string().contains("no-such.pem"));
    assert!(matches!(with(certificate("server.key")).unwrap_err(), TransportError::NoCertificate(_)));
}

#[test]
fn an_address_without_scheme_or_host_is_refused() {
    for url in ["", "control.example", "ftp://a", "http://", "https://a?b"] {
        assert!(matches!(Transport::new(Settings::new(url)), Err(TransportError::Url(_))), "{url}");
    }
    assert_eq!(Transport::new(Settings::new("http://a:1/base/")).unwrap().url(), "http://a:1/base");
}

#[actix_rt::test]
async fn tls_goes_through_the_proxys_tunnel() {
    let server = Server::with_tls();
    let proxy = Proxy::to(server.address());
    let settings = Settings {
        url: "https://control.example".to_owned(),
        proxies: through(&proxy, "https_proxy"),
        ..trusting(&server, "authority.pem")
    };
    assert!(transport(settings).operator("token").tokens(&class()).await.unwrap().is_empty());
    let head = &proxy.heads()[0];
    assert!(head.starts_with("CONNECT control.example:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
    assert!(!head.contains("token"), "the proxy learns no token of ours");
}

#[actix_rt::test]
async fn plain_http_goes_through_the_proxy_in_absolute_form() {
    let server = Server::plain();
    let proxy = Proxy::to(server.address());
    let proxies = through(&proxy, "HTTP_PROXY");
    let settings = Settings { proxies, ..Settings::new("http://control.example:8811") };
    assert!(transport(settings).operator("token").tokens(&class()).await.unwrap().is_empty());
    let head = proxy.heads().remove(0).to_lowercase();
    let line = "get http://control.example:8811/api/v3/runner/token?resource-class=acme%2flinux http/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("\r\nhost: control.example:8811\r\n"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: basic bwu6c2vjcmv0\r\n"), "{head}");
}

#[actix_rt::test]
async fn a_proxy_that_refuses_is_named() {
    let server = Server::with_tls();
    let proxy = Proxy::refusing(server.address());
    let proxies = through(&proxy, "HTTPS_PROXY");
    let settings =
        Settings { url: "https://control.example".to_owned(), proxies, ..trusting(&server, "authority.pem") };
    let error = transport(settings).operator("token").tokens(&class()).await.unwrap_err().to_string();
    assert!(error.contains("407 Who are you") && error.contains(&proxy.url("***@")), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[actix_rt::test]
async fn a_cut_download_goes_on_where_it_ended() {
    let server = Server::plain();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|place| (place * 7 % 251) as u8).collect();
    server.serve(Answer::CutHalfway(bytes.clone()));
    let into = tempfile::tempfile().unwrap();
    let task = transport(Settings::new(server.url("http", "localhost"))).task("token");
    task.get("/blobs/x?signature=s", &content(&bytes), &into).await.unwrap();
    assert!(read(into) == bytes);
    let heads = server.heads();
    assert!(heads.len() >= 2 && heads[1].1.contains_key("range"), "{heads:?}");
    assert!(!heads[0].1.contains_key("authorization"), "a signed URL needs no token");
}

fn read(file: File) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[actix_rt::test]
async fn a_content_that_is_another_is_refused() {
    let server = Server::plain();
    server.serve(Answer::Body(b"what came".to_vec()));
    let task = transport(Settings::new(server.url("http", "localhost"))).task("token");
    let (wanted, file) = (content(b"as named."), tempfile::tempfile().unwrap());
    let error = task.get("/blobs/x?signature=s", &wanted, &file).await.unwrap_err();
    assert!(matches!(error, ClientError::Digest { .. }), "{error}");
    assert!(!error.to_string().contains("signature"), "{error}");
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let server = Server::plain();
    server.serve(Answer::Redirect);
    let error = operator(&server).tokens(&class()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { .. }), "{error}");
    assert_eq!(server.heads().len(), 1);
}

#[actix_rt::test]
async fn whoever_is_told_something_shows_a_trusted_certificate_unless_any_will_do() {
    let server = Server::with_tls();
    let messenger = Messenger::new(Proxies::default()).unwrap();
    let url = server.url("https", "127.0.0.1");
    let headers = [("user-agent", "CircleCI-Webhook/1.0".to_owned())];
    let post = async |verify_tls| messenger.post(&url, &headers, "{}".into(), verify_tls).await;
    let error = post(true).await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }) && server.heads().is_empty(), "{error}");
    assert_eq!(post(false).await.unwrap().status, 200, "of another host, and of nobody's authority");
    let (line, told) = server.heads().remove(0);
    assert_eq!((line.as_str(), told["user-agent"].as_str()), ("POST /", "CircleCI-Webhook/1.0"));
    assert!(post(true).await.is_err(), "a connection that anybody may have is no other's");
}

fn operator(server: &Server) -> crate::Operator {
    transport(Settings::new(server.url("http", "localhost"))).operator("token")
}

#[actix_rt::test]
async fn an_answer_of_something_else_is_said_to_be_one() {
    let server = Server::plain();
    server.serve(Answer::Body(b"<html>a router's login page</html>".to_vec()));
    let error = operator(&server).tokens(&class()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { .. }) && !error.is_transient(), "{error}");
}

#[actix_rt::test]
async fn nobody_there_is_told_after_some_tries() {
    let gone = Server::plain().url("http", "localhost");
    let before = std::time::Instant::now();
    let error = transport(Settings::new(&gone)).operator("token").tokens(&class()).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }) && error.is_transient(), "{error}");
    assert!(error.to_string().contains(&gone) && before.elapsed() < PATIENCE * 2, "{error}");
}

#[actix_rt::test]
async fn what_would_happen_twice_is_sent_once() {
    let server = Server::plain();
    server.serve(Answer::Status(503));
    let resource = protocol::api::Resource {
        id: None,
        resource_class: class(),
        description: String::new(),
        max_tasks: None,
    };
    let error = operator(&server).create_resource(&resource).await.unwrap_err();
    assert!(matches!(error, ClientError::Server { status: 503, .. }), "{error}");
    assert_eq!(server.heads().len(), 1);
    assert!(operator(&server).tokens(&class()).await.is_err());
    assert!(server.heads().len() > 2, "a question may be asked again");
}

#[actix_rt::test]
async fn a_wrong_configuration_comes_back_with_its_diagnostics() {
    let server = Server::plain();
    server.serve(Answer::Refused);
    let pipeline = protocol::api::NewPipeline {
        project: "local/p".to_owned(),
        config: String::new(),
        config_path: "c".to_owned(),
        parameters: Default::default(),
        selection: Default::default(),
        source: protocol::task::Source::None,
        git: Default::default(),
        environment: vec![],
        contexts: Default::default(),
        default_class: None,
        native: false,
        orbs: Vec::new(),
        ssh_keys: Vec::new(),
        actor: Default::default(),
    };
    match operator(&server).create_pipeline(&pipeline).await.unwrap_err() {
        ClientError::Diagnosed(refused) => assert_eq!(refused.diagnostics, ["c:1:1: error"]),
        other => panic!("{other}"),
    }
}

#[actix_rt::test]
async fn a_registry_is_asked_for_an_orb_without_a_token() {
    let server = Server::plain();
    let registry = Transport::new(Settings::new(server.url("http", "127.0.0.1"))).unwrap().registry();
    server.serve(Answer::Body(
        br#"{"data": {"orbVersion": {"version": "1.2.3", "source": "x: 1\n"}}}"#.to_vec(),
    ));
    let orb = registry.orb("a/b@1").await.unwrap().unwrap();
    assert_eq!((orb.version.as_str(), orb.source.as_str()), ("1.2.3", "x: 1\n"));
    server.serve(Answer::Body(br#"{"data": {"orbVersion": null}}"#.to_vec()));
    assert_eq!(registry.orb("a/c@1").await.unwrap(), None);
    let (line, headers) = server.heads().remove(0);
    assert_eq!(line, "POST /graphql-unstable");
    assert!(!headers.contains_key("authorization"));
}

#[actix_rt::test]
async fn an_orb_is_fetched_from_any_address_and_what_is_no_text_is_none() {
    let server = Server::plain();
    let base = server.url("http", "127.0.0.1");
    let registry = Transport::new(Settings::new(&base)).unwrap().registry();
    server.serve(Answer::Body(b"commands: {}\n".to_vec()));
    assert_eq!(registry.text(&format!("{base}/ci/orb.yml")).await.unwrap(), "commands: {}\n");
    server.serve(Answer::Body(vec![0xff, 0xfe]));
    let error = registry.text(&format!("{base}/ci/picture")).await.unwrap_err();
    assert!(error.to_string().contains("no UTF-8"), "{error}");
    let (line, headers) = server.heads().remove(0);
    assert_eq!(line, "GET /ci/orb.yml");
    assert!(!headers.contains_key("authorization"));
}

#[actix_rt::test]
async fn a_log_says_where_it_ends() {
    let server = Server::plain();
    server.serve(Answer::Terminal(b"last words".to_vec()));
    let step = (protocol::TaskId(uuid()), protocol::StepNumber(3));
    let part = operator(&server).log(step, 5, 100, 0).await.unwrap();
    assert!(part.terminal && part.bytes == "last words");
    assert!(server.heads()[0].0.ends_with("/steps/3/log?offset=5&limit=100&wait_ms=0"));
}

fn uuid() -> uuid::Uuid {
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse::<PipelineId>().unwrap().0
}

#[actix_rt::test]
async fn a_source_is_sent_whole_with_its_length() {
    let server = Server::plain();
    let bytes = vec![7; 600_000];
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let wanted = content(&bytes);
    operator(&server).put_source("local/a b", &wanted, &file).await.unwrap();
    let (line, headers) = server.heads().remove(0);
    assert_eq!(line, format!("PUT /api/v3/source/local/a%20b/{}", wanted.digest));
    assert_eq!(headers["content-length"], "600000");
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "the descriptor's own place is not moved");
}

#[actix_rt::test]
async fn what_asks_policies_is_waited_for_until_they_have_answered() {
    let server = Server::plain();
    let of_all = serde_json::json!({
        "status": "PASS", "created": [], "deleted": [], "modified": [], "id": uuid::Uuid::nil(), "number": 7,
    });
    // Later than any other answer.
    server.serve(Answer::Late(Duration::from_secs(6), of_all.to_string().into_bytes()));
    let operator = operator(&server);
    let new: NewPipeline = serde_json::from_str(
        r#"{"project": "gh/acme/app", "config": "", "config_path": "c", "source": "none"}"#,
    )
    .unwrap();
    let (bundle, asked) = (NewBundle::default(), Asked::default());
    let (made, pushed, decided) = tokio::join!(
        operator.create_pipeline(&new),
        operator.push_policies("id", &bundle, true),
        operator.decide("id", &asked),
    );
    assert_eq!(made.unwrap().number, 7);
    pushed.unwrap();
    decided.unwrap();
    assert_eq!(server.heads().len(), 3, "nothing is asked twice");
}
