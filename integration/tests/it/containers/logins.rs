//! A private repository that a job in a container checks out: the login lies in the task's home, wherever its steps run.

use super::{
    CLASS, address,
    images::{self, GIT},
    is_swept,
};
use crate::{
    logins::{OPTIONS, TOKEN, nowhere_in},
    podman::Podman,
};
use integration::{
    fleet::{Fleet, source},
    git::Repository,
    pipelines::job,
    rig::Rig,
};
use protocol::status::JobStatus;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// Of the server, which is in the container too: not every host's firewall lets containers reach the host.
const URL: &str = "http://127.0.0.1:8099/cgi-bin/git/acme/app.git";
const SERVES: &str = "#!/bin/sh\nexport GIT_PROTOCOL=\"$HTTP_GIT_PROTOCOL\" GIT_PROJECT_ROOT=/srv GIT_HTTP_EXPORT_ALL=1\n\
                      exec git http-backend\n";
/// Checks out once the server is there, and then looks at what came of it.
const CONFIG: &str = r#"
version: 2.1
jobs:
  only:
    docker: [{image: IMAGE}]
    steps:
      - run: {name: server, background: true, command: exec busybox httpd -f -p 8099 -h /srv/www -c /srv/conf}
      - run: until (exec 3<>/dev/tcp/127.0.0.1/8099); do sleep 0.1; done
      - checkout
      - run:
          name: it
          command: |
            cat f; git show HEAD~1:f 2>/dev/null; git fetch -q origin && echo fetched
            stat -c '%a %u' ~/.roundhouse/login; cat ~/.roundhouse/login; env
workflows: {all: {jobs: [only]}}
"#;

/// The repository, and a server that lets in who shows the token.
fn serving(root: &Path, bare: &Path) {
    let programs = root.join("srv/www/cgi-bin");
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(root.join("srv/acme")).unwrap();
    let copied = Command::new("cp").arg("-R").arg(bare).arg(root.join("srv/acme/app.git")).status().unwrap();
    assert!(copied.success());
    fs::write(root.join("srv/conf"), format!("/cgi-bin:x-access-token:{TOKEN}\n")).unwrap();
    fs::write(programs.join("git"), SERVES).unwrap();
    fs::set_permissions(programs.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[actix_rt::test]
async fn a_job_in_a_container_is_let_in_to_a_private_repository_in_each_of_its_steps() {
    let Some(podman) = Podman::start() else { return };
    let rig = Rig::new();
    let repository = Repository::new(&rig.path("git"));
    repository.commit("f", "one\n", "refs/heads/main");
    let revision = repository.commit("f", "two\n", "refs/heads/main");
    images::git(&podman, |root| serving(root, &repository.bare));
    let server = rig.server_with("server", "127.0.0.1:0", &OPTIONS);
    let (token, engine) = (server.class(CLASS).await, address(&podman));
    let (classes, engine) = ([(CLASS, token.as_str())], [("DOCKER_HOST", Path::new(&engine))]);
    let agent = rig.agent_within("agent", &server.url, &classes, &[("grace", "1s")], &engine);
    let fleet = Fleet { rig, server, agent };
    let file = fleet.rig.write("token", TOKEN).display().to_string();
    let create =
        ["project", "create", "local/rig", "--url", URL, "--provider", "github", "--token-file", &file];
    let made = fleet.roundhouse(&[&create[..], &["--jobs-check-out-with", "token"]].concat());
    assert_eq!(made.status, 0, "{}", made.errors);
    let config = CONFIG.replace("IMAGE", GIT);
    let view = fleet.run(&config, source(URL, &revision, Some("main"), None)).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert_eq!(job(&view, "only").status, JobStatus::Success, "{log}");
    let it = fleet.log(&view, "only", "it").await;
    for line in ["two", "one", "fetched", "600 3434", "username=x-access-token", "password=****"] {
        assert!(it.lines().any(|said| said.trim_end() == line), "{line}: {it}");
    }
    assert!(!it.contains(TOKEN), "{it}");
    nowhere_in(&fleet.rig.path("agent"));
    is_swept(&podman);
}
