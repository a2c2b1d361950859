//! Signing in on the page at a provider of OpenID Connect that others have written, with the real programs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    local::Ended,
    node,
    rig::{Rig, Running, Server},
    wait,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const SECRET: &str = "a secret: with/marks & spaces";

/// A control plane, the provider where its people sign in, and who comes there.
struct House {
    rig: Rig,
    server: Server,
    _provider: Running,
}

impl House {
    /// None where the provider cannot be had on this host.
    fn new(algorithm: &str) -> Option<Self> {
        let had = node::with(Path::new(env!("CARGO_TARGET_TMPDIR")), &["oidc-provider@8.8.1"]);
        let folder = had.inspect_err(|lacking| eprintln!("skipped: {lacking}")).ok()?;
        let rig = Rig::new();
        // The provider has to know where it leads back to, and the control plane who the provider is.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (secret, who) = (rig.write("secret", &format!("{SECRET}\n")), rig.write("who", "ada"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sign_in/provider.mjs");
        let mut command = Command::new("node");
        command
            .arg(script)
            .arg(folder.join("node_modules"))
            .args([algorithm, &format!("http://{address}/sign-in/oidc/callback")]);
        command.arg(SECRET).arg(who);
        let said = rig.path("provider.out");
        let provider = rig.start_into("provider", command, Stdio::from(File::create(&said).unwrap()));
        let issuer = wait::until("the provider listens", Duration::from_secs(60), || {
            let text = fs::read_to_string(&said).unwrap();
            text.ends_with('\n').then(|| text.trim().to_owned())
        });
        let options = [
            ["--oidc-issuer", &issuer],
            ["--oidc-client-id", "roundhouse"],
            ["--oidc-client-secret-file", secret.to_str().unwrap()],
            ["--oidc-scope", "email"],
            ["--oidc-scope", "groups"],
            ["--oidc-group-claim", "groups"],
        ];
        let server = rig.server_with("server", &address, options.as_flattened());
        Some(Self { rig, server, _provider: provider })
    }

    fn roundhouse(&self, arguments: &[&str]) -> Ended {
        let mut command = self.rig.roundhouse();
        command.args(arguments).args(["--host", &self.server.url, "--token", &self.server.token]);
        self.rig.finish(command)
    }

    /// Who it is that comes to the provider from now on.
    fn comes(&self, who: &str) {
        self.rig.write("who", who);
    }

    /// By the door of the page, in a new browser: where that leads, and the browser.
    fn enter(&self) -> (Page, Browser) {
        let mut browser = Browser::default();
        let door = browser.get(&format!("{}/runners", self.server.url));
        assert_eq!(door.status, 401, "{}", door.body);
        let (_, rest) = door.body.split_once("class=\"door\" href=\"").expect("there is a door");
        let page = browser.get(rest.split('"').next().unwrap());
        (page, browser)
    }
}

/// Where a browser came to in the end.
#[derive(Debug)]
struct Page {
    url: String,
    status: u16,
    body: String,
}

/// One that keeps cookies by host and port, and goes where it is led.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    fn get(&mut self, url: &str) -> Page {
        let mut url = url.to_owned();
        for _ in 0..10 {
            let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
            let (head, body) = self.ask(host, path);
            let status = head.get(9..12).unwrap().parse().unwrap();
            let location = head.lines().find_map(|line| header(line, "location"));
            match location {
                Some(path) if path.starts_with('/') => url = format!("http://{host}{path}"),
                Some(whole) => url = whole.to_owned(),
                None => return Page { url, status, body },
            }
        }
        panic!("it is led around for ever, last to {url}");
    }

    fn ask(&mut self, host: &str, path: &str) -> (String, String) {
        let own = self.cookies.iter().filter(|((of, _), _)| of == host);
        let cookies: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        let mut stream = TcpStream::connect(host).unwrap();
        let cookies = cookies.join("; ");
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for set in head.lines().filter_map(|line| header(line, "set-cookie")) {
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert((host.to_owned(), name.to_owned()), value.to_owned());
        }
        (head.to_owned(), body.to_owned())
    }
}

fn header<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (key, value) = line.split_once(": ")?;
    key.eq_ignore_ascii_case(name).then_some(value)
}

#[test]
fn people_come_in_by_a_provider_with_either_algorithm_as_who_an_admin_says_they_are() {
    for algorithm in ["RS256", "ES256"] {
        let Some(house) = House::new(algorithm) else { return };
        let address = ["--email", "Ada@example.org", "--role", "viewer", "--organization", "*"];
        let made = house.roundhouse(&[&["user", "create", "ada"], &address[..]].concat());
        assert!(made.status == 0 && made.output.is_empty(), "{made:#?}");
        let (page, mut browser) = house.enter();
        assert!(page.status == 200 && page.body.contains("You are ada."), "{algorithm}: {page:#?}");
        assert!(page.body.contains("content=\"0; url=/runners\""), "{}", page.body);
        let shown = browser.get(&format!("{}/runners", house.server.url));
        assert!(shown.status == 200 && shown.body.contains("Sign out"), "{shown:#?}");
        let again = browser.get(&page.url);
        assert!(again.status == 400 && again.body.contains("begin again"), "{again:#?}");
        let listed = house.roundhouse(&["user", "list"]).output;
        assert!(listed.contains("ada (ada@example.org)"), "{listed}");
        let people: Value = serde_json::from_str(&house.server.get("/api/v3/people").body).unwrap();
        assert_eq!(people["items"][0]["identity"]["groups"], serde_json::json!(["all", "of-ada"]));
        let told = house.roundhouse(&["audit"]).output;
        assert!(told.contains("identity.bind") && told.contains("the page, as ada of http://"), "{told}");
    }
}

#[test]
fn whoever_is_not_known_and_whom_the_provider_turns_away_do_not_get_in() {
    let Some(house) = House::new("RS256") else { return };
    let made = house.roundhouse(&["user", "create", "eve", "--email", "eve@example.org"]);
    assert_eq!(made.status, 0, "{made:#?}");
    house.comes("nobody");
    let (page, _) = house.enter();
    let words = "access_denied: they would not say who they are";
    assert!(page.status == 403 && page.body.contains(words), "{page:#?}");
    // The provider has not verified her address.
    house.comes("eve");
    let (page, mut browser) = house.enter();
    assert!(page.status == 403 && page.body.contains("you came as `eve` of http://"), "{page:#?}");
    assert_eq!(browser.get(&format!("{}/", house.server.url)).status, 401);
    let linked = house.roundhouse(&["user", "identity", "eve", "--subject", "eve"]);
    assert!(linked.status == 0 && linked.errors.contains("is eve"), "{linked:#?}");
    let (page, mut browser) = house.enter();
    assert!(page.status == 200 && page.body.contains("You are eve."), "{page:#?}");
    assert_eq!(house.roundhouse(&["user", "identity", "eve", "--none"]).status, 0);
    assert_eq!(browser.get(&format!("{}/", house.server.url)).status, 401);
    let log = fs::read_to_string(house.rig.path("server.log")).unwrap();
    assert!(!log.contains(SECRET) && log.contains("a sign-in came to nothing"), "{log}");
}

#[test]
fn a_server_whose_provider_cannot_be_trusted_does_not_start_and_says_why() {
    let rig = Rig::new();
    let empty = rig.write("empty", "\n").display().to_string();
    let data = rig.path("data").display().to_string();
    let (issuer, client) = ("--oidc-issuer", ["--oidc-client-id", "roundhouse"]);
    for (options, words) in [
        (vec![issuer, "http://id.example"], "begins with https://"),
        (vec![issuer, "https://id.example", "--oidc-client-secret-file", &empty], "the file is empty"),
        (vec![issuer, "https://id.example", "--oidc-client-secret-file", "/nowhere"], "/nowhere"),
        (vec![issuer, "https://id.example", "--listen", "0.0.0.0:0"], "--public-url"),
    ] {
        let mut command = rig.roundhouse();
        command.args(["server", "--data-dir", &data]).args(client).args(&options);
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let ended = rig.finish(command);
        assert!(ended.status == 2 && ended.errors.contains(words), "{words}: {ended:#?}");
    }
    // One that is away may come back.
    let options = [&[issuer, "http://127.0.0.1:1"], &client[..]].concat();
    let server = rig.server_with("server", "127.0.0.1:0", &options);
    let page = server.call("GET", "/sign-in/oidc", "", "");
    assert!(page.status == 502 && page.body.contains("the provider cannot be asked"), "{page:#?}");
}
