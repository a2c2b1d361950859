//! `checkout` of a repository and `add_ssh_keys`, with the real programs, git's own servers and a real OpenSSH server.

use integration::{
    fleet::{CLASS, Fleet, checkouts as config, first, source},
    git::{Daemon, Http, Repository, Sshd, keygen},
    pipelines::job,
    rig::{Rig, pipeline},
};
use protocol::{
    status::{JobStatus, StepStatus},
    task::Source,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Where it stands, how much of the history is there, and how many objects are not.
const LOOK: &str = "cat f; git status --short; git rev-parse HEAD; echo on $(git branch --show-current); echo history \
                    $(git rev-list --count HEAD); echo missing $(git rev-list --objects --all --missing=print | grep -c '^?')";

#[actix_rt::test]
async fn a_branch_is_checked_out_at_its_revision_with_as_much_history_as_is_asked_for() {
    let fleet = Fleet::start(&[]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    repository.commit("f", "one", "refs/heads/main");
    let second = repository.commit("f", "two", "refs/heads/main");
    repository.commit("f", "three", "refs/heads/main");
    let http = Http::serve(&fleet.rig.path("git"));
    let jobs = config(&[
        ("blobless", "", LOOK),
        ("full", ": {method: full}", LOOK),
        ("shallow", ": {method: shallow, depth: 1}", LOOK),
    ]);
    let view = fleet.run(&jobs, source(&format!("{}/app.git", http.url), &second, Some("main"), None)).await;
    for (name, history, missing) in [("blobless", 2, 2), ("full", 2, 0), ("shallow", 1, 0)] {
        let checkout = fleet.log(&view, name, "Checkout code").await;
        assert_eq!(job(&view, name).status, JobStatus::Success, "{checkout}");
        assert!(checkout.contains("HEAD is now at") && checkout.contains("f is two"), "{checkout}");
        let look = fleet.log(&view, name, "it").await;
        let expected = format!("two{second}\non main\nhistory {history}\nmissing {missing}\n");
        assert_eq!(look, expected, "{name}: {checkout}");
    }
}

#[actix_rt::test]
async fn a_tag_is_checked_out_detached_and_a_pull_request_under_its_number() {
    let fleet = Fleet::start(&[]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let first = repository.commit("f", "one", "refs/heads/main");
    repository.git(&["tag", "-a", "-m", "v1", "v1.0"]);
    repository.git(&["push", "-q", "origin", "v1.0"]);
    let proposed = repository.commit("f", "proposed", "refs/pull/7/head");
    let daemon = Daemon::serve(&fleet.rig.path("git"));
    let url = format!("{}/app.git", daemon.url);
    let look = "git rev-parse HEAD; echo on $(git branch --show-current) $(git describe --always)";
    let jobs = config(&[("usual", "", look), ("shallow", ": {method: shallow}", look)]);
    let view = fleet.run(&jobs, source(&url, &first, None, Some("v1.0"))).await;
    for name in ["usual", "shallow"] {
        let checkout = fleet.log(&view, name, "Checkout code").await;
        assert_eq!(fleet.log(&view, name, "it").await, format!("{first}\non v1.0\n"), "{checkout}");
    }
    let view = fleet.run(&jobs, source(&url, &proposed, Some("pull/7"), None)).await;
    for name in ["usual", "shallow"] {
        let checkout = fleet.log(&view, name, "Checkout code").await;
        let look = fleet.log(&view, name, "it").await;
        assert!(look.starts_with(&format!("{proposed}\non pull/7 ")), "{look} {checkout}");
    }
}

#[actix_rt::test]
async fn a_commit_that_is_not_there_and_an_address_that_runs_something_are_refused_by_name() {
    let fleet = Fleet::start(&[]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    repository.commit("f", "one", "refs/heads/main");
    let http = Http::serve(&fleet.rig.path("git"));
    let jobs = config(&[("only", "", "true")]);
    let gone = "1".repeat(40);
    let view = fleet.run(&jobs, source(&format!("{}/app.git", http.url), &gone, Some("main"), None)).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert!(log.contains(&format!("the commit {gone} is not in the repository any more")), "{log}");
    let view = fleet.run(&jobs, source(&format!("{}/other.git", http.url), &gone, Some("main"), None)).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert!(log.contains("cannot read the repository http://127.0.0.1"), "{log}");
    for url in ["ext::sh -c 'touch /tmp/x'", "--upload-pack=x", "gopher://example.org/app"] {
        let new =
            protocol::api::NewPipeline { source: source(url, &gone, None, None), ..pipeline(&jobs, CLASS) };
        let refused = fleet.server.operator().create_pipeline(&new).await.expect_err("it is refused");
        assert!(refused.to_string().contains("is no address of a repository"), "{refused}");
    }
}

#[actix_rt::test]
async fn what_another_job_left_in_a_directory_neither_runs_nor_stays() {
    let fleet = Fleet::start(&[]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let revision = repository.commit("f", "one", "refs/heads/main");
    let http = Http::serve(&fleet.rig.path("git"));
    let shared = fleet.rig.path("shared");
    fs::create_dir(&shared).expect("it is ours");
    // Jobs of several accounts use it.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let (sign, into) = (shared.join("sign"), shared.join("tree"));
    let trap = format!(
        "mkdir -p -m 777 {0} && cd {0} && umask 0 && git init -q . && printf '#!/bin/sh\\ntouch {1}\\n' > .git/trap && \
         chmod 777 .git/trap && cp .git/trap .git/hooks/post-checkout && git config core.fsmonitor $PWD/.git/trap && \
         git config filter.x.smudge $PWD/.git/trap && git config core.sshCommand $PWD/.git/trap && echo '* filter=x' > \
         .gitattributes && echo left > leftover && chmod -R a+rwX .",
        into.display(),
        sign.display()
    );
    let view = fleet.server.ended(fleet.server.job(CLASS, &trap).await).await;
    assert_eq!(job(&view, "only").status, JobStatus::Success, "{}", fleet.log(&view, "only", "it").await);
    let jobs = config(&[(
        "only",
        &format!(": {{path: {}}}", into.display()),
        &format!("ls -1A {}", into.display()),
    )]);
    let view =
        fleet.run(&jobs, source(&format!("{}/app.git", http.url), &revision, Some("main"), None)).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert!(log.contains("is emptied of what an earlier job has left in it"), "{log}");
    assert_eq!(job(&view, "only").status, JobStatus::Success, "{log}");
    assert_eq!(fleet.log(&view, "only", "it").await, ".git\nf\n", "{log}");
    assert!(!sign.exists(), "what lay there has run: {log}");
}

#[actix_rt::test]
async fn a_second_checkout_of_a_job_keeps_what_its_steps_have_made() {
    let fleet = Fleet::start(&[]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let revision = repository.commit("f", "one", "refs/heads/main");
    let http = Http::serve(&fleet.rig.path("git"));
    let text = format!(
        "version: 2.1\njobs:\n  only:\n    machine: true\n    resource_class: {CLASS}\n    steps:\n      - checkout\n      \
         - run: echo made > made; echo changed > f\n      - checkout: {{name: again}}\n      - run: {{name: it, command: \
         cat made f}}\nworkflows: {{all: {{jobs: [only]}}}}\n"
    );
    let view =
        fleet.run(&text, source(&format!("{}/app.git", http.url), &revision, Some("main"), None)).await;
    let again = fleet.log(&view, "only", "again").await;
    assert_eq!(fleet.log(&view, "only", "it").await, "made\none", "{again}");
}

#[actix_rt::test]
async fn a_repository_behind_ssh_opens_with_the_projects_key_where_its_host_is_known() {
    let rig = Rig::new();
    let Some(sshd) = Sshd::start(&rig.path("sshd")) else { return };
    let hosts = rig.write("hosts", &sshd.known_host).display().to_string();
    let fleet = Fleet::start(&["--known-hosts", &hosts]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    let revision = repository.commit("f", "one", "refs/heads/main");
    let url = format!("{}{}", sshd.url, repository.bare.display());
    let look = "cat f; stat -c %a ~/.ssh/id_rsa; cat ~/.ssh/id_rsa; git fetch -q origin main && echo fetched";
    let jobs = config(&[("only", "", look)]);
    let at = source(&url, &revision, Some("main"), None);

    let view = fleet.run(&jobs, at.clone()).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert!(log.contains("none of this job's keys opens it"), "{log}");

    let made = fleet.roundhouse(&["ssh-key", "create", "local/rig", "--checkout"]);
    assert_eq!(made.status, 0, "{made:?}");
    sshd.admit(&made.output);
    let view = fleet.run(&jobs, at.clone()).await;
    let log = fleet.log(&view, "only", "Checkout code").await;
    assert!(log.contains("Using the SSH key ") && log.contains("HEAD is now at"), "{log}");
    let look = fleet.log(&view, "only", "it").await;
    assert!(look.starts_with("one600\n****") && look.ends_with("\nfetched\n"), "{look}");
    assert!(!look.contains("BEGIN OPENSSH"), "{look}");
    no_key_lies_in(&fleet.rig.path("agent"));
    no_key_lies_in(&fleet.server.data);

    let stranger = Fleet::start(&[]).await;
    let view = stranger.run(&jobs, at).await;
    let log = stranger.log(&view, "only", "Checkout code").await;
    assert!(log.contains("its host's key is not known here"), "{log}");
}

/// No file below has a private key in it.
fn no_key_lies_in(folder: &Path) {
    for entry in fs::read_dir(folder).expect("it is ours").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it is there"));
        if kind.is_dir() {
            no_key_lies_in(&path);
        } else if kind.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            let key = ["BEGIN OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjE"]
                .into_iter()
                .find(|key| text.contains(key));
            assert_eq!(key, None, "{}", path.display());
        }
    }
}

/// Asks for a key by its fingerprint, and then uses it as scripts do.
fn keys_config(fingerprint: &str, sshd: &Sshd, class: &str) -> String {
    let target = format!("-p {} {}@127.0.0.1 'echo from the other side'", sshd.port, sshd.user);
    let class = if class.is_empty() { String::new() } else { format!("\n    resource_class: {class}") };
    format!(
        "version: 2.1\njobs:\n  only:\n    machine: true{class}\n    steps:\n      - add_ssh_keys: {{fingerprints: \
         ['{fingerprint}']}}\n      - run: {{name: it, command: \"ssh -o StrictHostKeyChecking=accept-new {target}; stat \
         -c %a ~/.ssh/id_rsa_*; grep -c IdentityFile ~/.ssh/config\"}}\nworkflows: {{all: {{jobs: [only]}}}}\n"
    )
}

#[actix_rt::test]
async fn a_job_gets_the_keys_it_asks_for_and_no_others() {
    let rig = Rig::new();
    let Some(sshd) = Sshd::start(&rig.path("sshd")) else { return };
    let fleet = Fleet::start(&[]).await;
    let keys = fleet.rig.path("keys");
    for name in ["one", "other"] {
        let path = keygen(&keys, name).expect("an OpenSSH server comes with its tools").display().to_string();
        let taken =
            fleet.roundhouse(&["ssh-key", "create", "local/rig", "--key", &path, "--host-name", "127.0.0.1"]);
        assert_eq!(taken.status, 0, "{taken:?}");
    }
    sshd.admit(&fs::read_to_string(keys.join("one.pub")).expect("it was made"));
    let list = fleet.roundhouse(&["ssh-key", "list", "local/rig"]);
    let line = list.output.lines().nth(1).unwrap_or_else(|| panic!("{list:?}")).to_owned();
    let fingerprint = line.split_whitespace().next().unwrap_or_default();
    let view = fleet.run(&keys_config(fingerprint, &sshd, CLASS), Source::None).await;
    let added = fleet.log(&view, "only", "Installing additional ssh keys").await;
    assert_eq!(added, format!("Added the SSH key {fingerprint} for 127.0.0.1.\n"));
    let it = fleet.log(&view, "only", "it").await;
    assert!(it.contains("from the other side") && it.ends_with("600\n1\n"), "{it}");

    let gone = fleet.roundhouse(&["ssh-key", "delete", "local/rig", fingerprint]);
    assert_eq!(gone.status, 0, "{gone:?}");
    let view = fleet.run(&keys_config(fingerprint, &sshd, CLASS), Source::None).await;
    let step = first(&view, "only").steps.iter().find(|step| step.name == "Installing additional ssh keys");
    assert_eq!(step.map(|step| step.status), Some(StepStatus::Failed));
    let told = fleet.log(&view, "only", "Installing additional ssh keys").await;
    assert!(told.contains(&format!("no SSH key with the fingerprint {fingerprint}")), "{told}");
}

#[test]
fn a_local_run_takes_keys_from_files() {
    let rig = Rig::new();
    let Some(sshd) = Sshd::start(&rig.path("sshd")) else { return };
    let key = keygen(&rig.path("keys"), "mine").expect("an OpenSSH server comes with its tools");
    let public = fs::read_to_string(key.with_extension("pub")).expect("it was made");
    sshd.admit(&public);
    let text = keys_config("", &sshd, "").replace(": {fingerprints: ['']}", "");
    let project = rig.project("project", &text);
    let ended = rig.run(&project, &["--ssh-key", &format!("{}=127.0.0.1", key.display())]);
    assert_eq!(ended.status, 0, "{ended:?}");
    let it = ended.step("only", "it");
    assert!(it.contains("from the other side"), "{it}");
    no_key_lies_in(&rig.path("state"));
}
