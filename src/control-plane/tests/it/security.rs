//! What somebody sends who means no good: places that lead elsewhere, bodies that are broken or endless, tokens that are
//! almost one. Who may call what is in `strangers`, webhooks that are not signed in `webhooks`, reports that want out of their
//! sandbox in `page_acts`.

use crate::{
    house::{CLASS, House, ONE_JOB, OPERATOR},
    openapi::{DOCUMENT, documented},
    people::person,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// What stands in the places of an address to get out of them.
const ASTRAY: [&str; 7] = [
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/etc/passwd",
    "%00",
    "a%0d%0aSet-Cookie:%20x=y",
    "'%20OR%201=1%20--",
    "%F0%9F%92%A9%C3%28",
];
/// What is no JSON that anybody asked for.
const BROKEN: [&str; 6] = ["{", "[]", "null", "{\"a\":", "\"\u{0}\"", "{\"__proto__\": {\"admin\": true}}"];

/// What a call is answered, as soon as all of it is there: whose body was not read waits a moment for it before it closes.
async fn raw(house: &House, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nCircle-Token: {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let address = house.running.address;
    actix_web::web::block(move || answered(address, &request)).await.unwrap()
}

fn answered(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // One that is refused early is not taken whole.
    let _ = stream.write_all(request.as_bytes());
    let (mut answer, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = stream.read(&mut piece).unwrap_or_else(|error| panic!("{request:.100}: {error}"));
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n").filter(|_| read > 0) else {
            assert!(read > 0, "{request:.100}: {text}");
            continue;
        };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return (head[9..12].parse().unwrap(), body.to_owned());
        }
    }
}

/// An address with this in each of its places.
fn astray(path: &str, with: &str) -> String {
    let mut filled = path.to_owned();
    while let Some((before, rest)) = filled.split_once('{') {
        filled = format!("{before}{with}{}", rest.split_once('}').unwrap().1);
    }
    filled
}

fn holds((status, body): &(u16, String), what: &str) {
    assert!(*status < 500 || *status == 503, "{what}: {status} {body}");
    assert!(
        !body.contains("root:x:0:0") && !body.contains("SQLITE") && !body.contains("panicked"),
        "{what}: {body}"
    );
}

#[actix_web::test]
async fn no_place_of_an_address_leads_out_of_it() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    for (method, path) in documented().into_iter().filter(|(_, path)| path.contains('{')) {
        for with in ASTRAY {
            let address = astray(&path, with);
            let answer = raw(&house, &method, &address, OPERATOR, "").await;
            holds(&answer, &format!("{method} {address}"));
        }
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_broken_is_said_to_be_and_nothing_comes_of_it() {
    let house = House::new().await;
    let deep = "[".repeat(100_000);
    for (method, path) in documented() {
        let takes = DOCUMENT["paths"][&path][method.to_lowercase()].get("requestBody").is_some();
        let is_whole = path.contains("digest");
        for body in BROKEN.into_iter().chain([deep.as_str()]).filter(|_| takes && !is_whole) {
            let address = astray(&path, "7");
            let answer = raw(&house, &method, &address, OPERATOR, body).await;
            let what: String = format!("{method} {address} {body}").chars().take(200).collect();
            holds(&answer, &what);
        }
    }
    let (_, pipelines) = raw(&house, "GET", "/api/v2/pipeline", OPERATOR, "").await;
    assert_eq!(pipelines, r#"{"items":[],"next_page_token":null}"#);
    house.running.stop().await;
}

/// The first line of the answer to a body that is announced and never sent.
fn announced_at(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nCircle-Token: {OPERATOR}\r\nContent-Length: 99999999999\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap_or_else(|error| panic!("{method} {path} waits for it all: {error}"));
    String::from_utf8_lossy(&first[9..]).into_owned()
}

#[actix_web::test]
async fn a_body_without_end_is_refused_before_it_is_read() {
    let house = House::new().await;
    let calls: Vec<_> = documented()
        .into_iter()
        .filter(|(method, path)| {
            let call = &DOCUMENT["paths"][path][method.to_lowercase()];
            let content = &call["requestBody"]["content"];
            // Contents are streamed to the disk, as far as there is room.
            content.get("application/json").is_some() && !path.contains("digest")
        })
        .collect();
    assert!(calls.len() > 30, "{calls:?}");
    for (method, path) in calls {
        let address = astray(&path, "7");
        let (at, call) = (house.running.address, (method.clone(), address.clone()));
        let status = actix_web::web::block(move || announced_at(at, &call.0, &call.1)).await.unwrap();
        assert!(
            ["400", "401", "403", "404", "413"].contains(&status.as_str()),
            "{method} {address}: {status}"
        );
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_almost_a_token_opens_nothing() {
    let house = House::new().await;
    let (ada, runner) = (person(&house, "ada", &[("*", "admin")]).await, house.token().await);
    let claim = r#"{"name": "r", "hostname": "h", "ip": "", "version": "1", "wait_ms": 0}"#;
    for token in [OPERATOR, &ada, &runner] {
        let end = token.len() - 1;
        let almost = [
            token[..end].to_owned(),
            format!("{token}x"),
            format!("{}{}", &token[..end], if token.ends_with('0') { '1' } else { '0' }),
            token.to_uppercase(),
            format!("{token}%00"),
            String::new(),
            format!("%{token}"),
        ];
        for almost in almost.iter().filter(|almost| *almost != token) {
            assert_eq!(raw(&house, "GET", "/api/v2/me", almost, "").await.0, 401, "{almost}");
            let (status, body) = raw(&house, "POST", "/api/v3/runner/claim", almost, claim).await;
            assert_eq!((status, body.as_str()), (404, ""), "{almost}");
        }
    }
    // And one of another kind opens nothing of this kind.
    let counts = format!("/api/v3/runner/tasks?resource-class={CLASS}");
    assert_eq!(raw(&house, "GET", &counts, &runner, "").await.0, 401);
    house.running.stop().await;
}
