//! What no engine here can be had for: a registry with a login, an engine on another kernel. The engine is made up, and
//! what it is asked is looked at.

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use containers::{Engine, Login, NoEngine, Pull, PullError, Wanted, Wish};
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;

/// Answers requests by the first words of theirs that fit, once each and the last again and again.
struct Fake {
    dir: TempDir,
    heard: Arc<Mutex<Vec<String>>>,
}

type Answers = Vec<(&'static str, u16, String)>;

impl Fake {
    fn new(answers: Answers) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("engine.sock")).unwrap();
        let (heard, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(answers)));
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, answers) = (Arc::clone(&hearing), Arc::clone(&answers));
                thread::spawn(move || serve(stream.unwrap(), &heard, &answers));
            }
        });
        Self { dir, heard }
    }

    fn wish(&self) -> Wish {
        Wish { socket: Some(self.dir.path().join("engine.sock")), ..Wish::default() }
    }

    /// The request that began so, with its headers.
    fn request(&self, begin: &str) -> String {
        let heard = self.heard.lock().unwrap();
        heard.iter().find(|request| request.starts_with(begin)).unwrap_or_else(|| panic!("{heard:?}")).clone()
    }
}

fn serve(stream: UnixStream, heard: &Mutex<Vec<String>>, answers: &Mutex<Answers>) {
    let (mut reader, mut writer, mut request) = (BufReader::new(&stream), &stream, String::new());
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).is_ok_and(|read| read > 0) {}
    if request.is_empty() {
        // Somebody only wanted to know who listens.
        return;
    }
    let (status, body) = answer(&request, &mut answers.lock().unwrap());
    heard.lock().unwrap().push(request);
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    writer.write_all((head + &body).as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = reader.read_to_end(&mut Vec::new());
}

fn answer(request: &str, answers: &mut Answers) -> (u16, String) {
    let mut fitting = (0..answers.len()).filter(|index| request.contains(answers[*index].0));
    let Some(first) = fitting.next() else {
        return (404, "{\"message\":\"nothing of that name\"}".to_owned());
    };
    let is_last = fitting.next().is_none();
    let (_, status, body) = if is_last { answers[first].clone() } else { answers.remove(first) };
    (status, body)
}

fn kernel() -> String {
    rustix::system::uname().release().to_str().unwrap().to_owned()
}

fn version(kernel: &str) -> Answers {
    let about = format!("\"KernelVersion\":\"{kernel}\"");
    vec![
        (
            "/version",
            200,
            format!("{{\"Version\":\"27.1\",\"ApiVersion\":\"1.47\",\"Os\":\"linux\",{about}}}"),
        ),
        ("/info", 200, format!("{{\"OSType\":\"linux\",{about}}}")),
    ]
}

const IMAGE: &str = "{\"Id\":\"sha256:00\",\"Architecture\":\"amd64\"}";

async fn pulled(fake: &Fake, login: Option<Login>) -> (Result<(), PullError>, Vec<String>) {
    let engine = Engine::find(&fake.wish()).await.unwrap();
    let wanted = Wanted { image: "registry.example/team/app:1".to_owned(), login };
    let mut told = Vec::new();
    let pulled = engine.prepare(&[wanted], Pull::Always, |line| told.push(line.to_owned())).await;
    (pulled, told)
}

fn login() -> Option<Login> {
    Some(Login { username: "robot".to_owned(), password: "pass>word?".to_owned() })
}

#[tokio::test]
async fn a_login_goes_to_the_registry_in_the_header_for_it_and_nowhere_else() {
    let mut answers = version(&kernel());
    let progress = "{\"status\":\"Pulling from team/app\",\"id\":\"1\"}\r\n{\"status\":\"Pull complete\",\"id\":\"aa\"}\r\n";
    answers.push(("/images/create", 200, progress.to_owned()));
    answers.push(("/images/registry.example/team/app:1/json", 200, IMAGE.to_owned()));
    let fake = Fake::new(answers);
    let (pulled, told) = pulled(&fake, login()).await;
    pulled.unwrap();
    assert_eq!(told[0], "Pulling image registry.example/team/app:1.");
    assert!(told.last().unwrap().starts_with("Pulled image registry.example/team/app:1 in "), "{told:?}");
    let request = fake.request("POST ").to_lowercase();
    assert!(request.contains("fromimage=registry.example%2fteam%2fapp%3a1"), "{request}");
    let original = fake.request("POST ");
    let header = original.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-registry-auth").then_some(value.trim())
    });
    let auth: serde_json::Value =
        serde_json::from_slice(&BASE64_URL_SAFE.decode(header.unwrap()).unwrap()).unwrap();
    assert_eq!((auth["username"].as_str(), auth["password"].as_str()), (Some("robot"), Some("pass>word?")));
    assert_eq!(auth["serveraddress"], "registry.example");
    let others = fake
        .heard
        .lock()
        .unwrap()
        .iter()
        .filter(|request| request.to_lowercase().contains("x-registry-auth"))
        .count();
    assert_eq!(others, 1);
}

#[tokio::test]
async fn a_refusal_has_the_registrys_words_and_says_what_to_do() {
    for (login, advice) in [(login(), "username and password of its `auth`"), (None, "needs `auth`")] {
        let mut answers = version(&kernel());
        let said = "{\"errorDetail\":{\"message\":\"denied: access forbidden\"},\"error\":\"denied: access forbidden\"}\r\n";
        answers.push(("/images/create", 200, said.to_owned()));
        let refused = pulled(&Fake::new(answers), login).await.0.unwrap_err().to_string();
        for part in ["registry.example/team/app:1", "denied: access forbidden", advice] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(!refused.contains("pass>word?"));
    }
}

#[tokio::test]
async fn a_pull_that_breaks_off_is_begun_again() {
    let mut answers = version(&kernel());
    answers.push(("/images/create", 200, "{\"status\":\"Downlo".to_owned()));
    answers.push(("/images/create", 200, "{\"status\":\"Pull complete\",\"id\":\"aa\"}\r\n".to_owned()));
    answers.push(("/_ping", 200, "OK".to_owned()));
    answers.push(("/images/registry.example/team/app:1/json", 200, IMAGE.to_owned()));
    let (pulled, told) = pulled(&Fake::new(answers), None).await;
    pulled.unwrap();
    assert!(told.iter().any(|line| line.contains("went away")), "{told:?}");
}

#[tokio::test]
async fn an_engine_on_another_kernel_is_refused_by_name() {
    let fake = Fake::new(version("6.6.0-linuxkit"));
    let error = Engine::find(&fake.wish()).await.unwrap_err();
    assert!(matches!(&error, NoEngine::OtherKernel { .. }), "{error}");
    assert!(error.to_string().contains("6.6.0-linuxkit") && error.to_string().contains(&kernel()), "{error}");
}
