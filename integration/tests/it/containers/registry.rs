//! A registry of the tests' own that lets nobody in without a login: as much of the protocol as a pull needs.

use super::{is_swept, run};
use crate::podman::{BOX, Podman, REGISTRIES};
use integration::rig::Rig;
use protocol::status::JobStatus;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

/// `robot` and `open sesame`, as browsers and engines send them.
const LOGIN: &str = "authorization: Basic cm9ib3Q6b3BlbiBzZXNhbWU=";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Serves one image, whatever it is asked for by; its port.
fn serve(image: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let image = image.clone();
            // An engine that hangs up is none of ours.
            thread::spawn(move || drop(answer(&stream.unwrap(), &image)));
        }
    });
    port
}

fn answer(stream: &TcpStream, image: &Path) -> std::io::Result<()> {
    let (mut reader, mut request) = (BufReader::new(stream), String::new());
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request)? > 0 {}
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_known = request.lines().any(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        format!("{}: {value}", name.to_lowercase()) == LOGIN
    });
    let (status, kind, body) = match path.rsplit('/').next().unwrap_or_default() {
        _ if !is_known => ("401 Unauthorized", "text/plain", b"who are you?".to_vec()),
        "" => ("200 OK", "text/plain", Vec::new()),
        digest if path.contains("/blobs/") => {
            let blob = fs::read(image.join(digest.trim_start_matches("sha256:")))?;
            ("200 OK", "application/octet-stream", blob)
        }
        _ => ("200 OK", MANIFEST, fs::read(image.join("manifest.json"))?),
    };
    let mut writer = stream;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
         WWW-Authenticate: Basic realm=\"rig\"\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes())?;
    if method == "HEAD" { Ok(()) } else { writer.write_all(&body) }
}

/// One job has the login of its context, another none, and one a wrong one.
const PRIVATE: &str = r#"
version: 2.1
jobs:
  within:
    docker:
      - image: "REGISTRY/team/box:1"
        auth: {username: $REGISTRY_USER, password: $REGISTRY_PASSWORD}
    steps: [run: {name: id, command: id -u}]
  without: {docker: [{image: "REGISTRY/team/other:1"}], steps: [run: "true"]}
  wrong:
    docker: [{image: "REGISTRY/team/third:1", auth: {username: robot, password: $GUESS}}]
    steps: [run: "true"]
workflows: {all: {jobs: [within: {context: registry}, without, wrong: {context: registry}]}}
"#;

#[test]
fn a_private_image_is_had_with_its_login_and_with_no_other() {
    let Some(mut podman) = Podman::start_own() else { return };
    let image = podman.path().join("image");
    podman.printed(&["save", "--quiet", "--format", "docker-dir", "--output", image.to_str().unwrap(), BOX]);
    let registry = format!("localhost:{}", serve(image));
    // Engines want TLS of a registry unless they are told that it has none.
    podman.stop();
    let plain = format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n");
    fs::write(podman.path().join(REGISTRIES), plain).unwrap();
    podman.serve();
    let rig = Rig::new();
    let login = "REGISTRY_USER=robot\nREGISTRY_PASSWORD=open sesame\nGUESS=open barley\n";
    let context = format!("registry={}", rig.write("login.env", login).display());
    let ended =
        run(&rig, &podman, &PRIVATE.replace("REGISTRY/", &format!("{registry}/")), &["--context", &context]);
    assert_eq!(ended.step("within", "id"), "0\n", "{ended:#?}");
    let pulled = ended.step("within", "Spin up environment");
    assert!(pulled.contains(&format!("Pulled image {registry}/team/box:1 in ")), "{pulled}");
    for (job, advice) in [("without", "needs `auth`"), ("wrong", "username and password of its `auth`")] {
        assert_eq!(ended.job(job).status, JobStatus::InfrastructureFail, "{ended:#?}");
        let said = ended.step(job, "Spin up environment");
        assert!(said.contains("cannot be pulled") && said.contains(advice), "{said}");
    }
    assert!(!(ended.output + &ended.errors).contains("open "), "no password is told");
    is_swept(&podman);
}
