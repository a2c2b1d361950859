//! Built-in steps, with answers as a launch-agent gives them.

use crate::host::{Host, built_in, run};
use protocol::{
    bundle::{Member, table_range},
    frame::{Answer, Wanted},
    repository::Method,
    status::{Outcome, StepStatus},
    task::{Action, Source, Step},
    transfer::TestCase,
};
use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::OwnedFd,
};

fn save() -> Step {
    let paths = vec!["deps".to_owned(), "missing".to_owned(), "~/.tool".to_owned()];
    built_in(Action::SaveCache { key: "v1-{{ checksum \"lock\" }}".to_owned(), paths })
}

fn restore() -> Step {
    let keys = vec!["v1-{{checksum \"lock\"}}".to_owned(), "v1-".to_owned()];
    built_in(Action::RestoreCache { keys })
}

/// As a launch-agent lends a file to make an archive in.
fn lend(host: &Host) {
    let (request, Wanted::LendFile, None) = host.request() else { panic!("it wants a file") };
    host.answer(request, Answer::Lent, Some(&tempfile::tempfile().unwrap()));
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_cache_goes_out_of_one_task_and_into_the_next() {
    let make = "echo locked > lock; mkdir deps; echo a > deps/a; chmod 700 deps/a; ln -s a deps/link; echo tool > ~/.tool";
    let host = Host::new(vec![run(make), save()]).begun();
    let (find, Wanted::FindCache { key }, None) = host.request() else { panic!("it asks first") };
    assert!(key.starts_with("v1-") && key.len() > 20, "{key}");
    host.answer(find, Answer::NoCache, None);
    lend(&host);
    let (request, Wanted::SaveCache { key: saved }, Some(archive)) = host.request() else {
        panic!("it saves")
    };
    assert_eq!(saved, key);
    host.answer(request, Answer::Stored { size: archive.metadata().unwrap().len() }, None);
    let left = host.finish();
    assert_eq!(left.outcome(), Some(Outcome::Success));
    assert!(left.log(2).contains("missing"), "{}", left.log(2));

    let check = "cat deps/a ~/.tool; readlink deps/link; stat -c %a deps/a";
    let host = Host::new(vec![run("echo locked > lock"), restore(), run(check)]).begun();
    let (request, Wanted::RestoreCache { keys }, None) = host.request() else { panic!("it asks") };
    assert_eq!(keys, [key.as_str(), "v1-"]);
    let mut archive = archive;
    archive.rewind().unwrap();
    host.answer(request, Answer::Cache { key, size: archive.metadata().unwrap().len() }, Some(&archive));
    let left = host.finish();
    assert_eq!(left.log(3), "a\ntool\na\n700\n", "{}", left.log(2));
}

#[test]
fn a_cache_that_cannot_be_saved_fails_nothing() {
    let host = Host::new(vec![run("echo locked > lock; mkdir deps"), save()]).begun();
    let (find, ..) = host.request();
    host.answer(find, Answer::NoCache, None);
    lend(&host);
    let (request, ..) = host.request();
    host.answer(request, Answer::Refused { message: "no room for it".to_owned() }, None);
    let left = host.finish();
    assert_eq!(left.step(2), Some((StepStatus::Success, None)));
    assert!(left.log(2).contains("no room for it"));
}

#[test]
fn a_workspace_goes_from_job_to_job() {
    let persist = Action::PersistToWorkspace {
        root: "out".to_owned(),
        paths: vec!["*.txt".to_owned(), "bin".to_owned()],
    };
    let make = "mkdir -p out/bin; echo 1 > out/a.txt; echo 2 > out/b.log; echo 3 > out/bin/tool";
    let host = Host::new(vec![run(make), built_in(persist)]).begun();
    lend(&host);
    let (request, Wanted::PersistLayer, Some(mut layer)) = host.request() else { panic!("a layer") };
    host.answer(request, Answer::Stored { size: 1 }, None);
    assert_eq!(host.finish().outcome(), Some(Outcome::Success));

    let attach = built_in(Action::AttachWorkspace { at: "ws".to_owned() });
    let host = Host::new(vec![attach, run("cd ws; find . -type f | sort")]).begun();
    let (request, wanted, _) = host.request();
    assert_eq!(wanted, Wanted::AttachLayer { index: 0 });
    layer.rewind().unwrap();
    host.answer(request, Answer::Layer { job: "build".to_owned(), size: 1, writer: None }, Some(&layer));
    let (request, wanted, _) = host.request();
    assert_eq!(wanted, Wanted::AttachLayer { index: 1 });
    host.answer(request, Answer::NoLayer, None);
    assert_eq!(host.finish().log(2), "./a.txt\n./bin/tool\n");
}

#[test]
fn small_artifacts_are_handed_over_together_and_a_large_one_alone() {
    let store = Action::StoreArtifacts { path: "out".to_owned(), destination: Some("site".to_owned()) };
    let make = "mkdir -p out/sub; for i in 1 2 3; do echo $i > out/sub/$i; done; ln -s / out/all; \
                head -c 200000 /dev/zero > out/large";
    let host = Host::new(vec![run(make), built_in(store)]).begun();
    let (mut paths, mut contents) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (request, wanted, Some(mut file)) = host.request() else { panic!("an artifact") };
        match wanted {
            Wanted::StoreBundle => contents = members(&mut file),
            Wanted::StoreArtifact { path } => paths.push((path, file.metadata().unwrap().len())),
            other => panic!("{other:?}"),
        }
        host.answer(request, Answer::Stored { size: 2 }, None);
    }
    let expected = ["1", "2", "3"].map(|name| (format!("site/sub/{name}"), format!("{name}\n")));
    let left = host.finish();
    assert_eq!(contents, expected, "{}", left.log(2));
    assert_eq!(paths, [("site/large".to_owned(), 200_000)]);
    assert_eq!(left.outcome(), Some(Outcome::Success));
}

/// Paths and contents of a bundle.
fn members(file: &mut File) -> Vec<(String, String)> {
    let mut bundle = Vec::new();
    file.read_to_end(&mut bundle).unwrap();
    let table = table_range(bundle.len() as u64, *bundle.last_chunk().unwrap()).unwrap();
    let part = |start: u64, end: u64| {
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        zstd::decode_all(&bundle[range]).unwrap()
    };
    let members: Vec<Member> = serde_json::from_slice(&part(table.start, table.end)).unwrap();
    let content = |member: Member| {
        let content = part(member.start, member.start + member.stored);
        (member.artifact.path, String::from_utf8(content).unwrap())
    };
    members.into_iter().map(content).collect()
}

#[test]
fn test_results_are_read_from_junit() {
    let report = r#"<testsuite name="s"><testcase name="good" time="0.5"/><testcase name="bad"><failure message="no"/></testcase></testsuite>"#;
    let make =
        format!("mkdir results; echo '{report}' > results/junit.xml; echo '<broken' > results/bad.xml");
    let store = built_in(Action::StoreTestResults { path: "results".to_owned() });
    let host = Host::new(vec![run(&make), store]).begun();
    let (request, Wanted::StoreTestResults, Some(file)) = host.request() else { panic!("results") };
    let lines = text(file);
    let cases: Vec<TestCase> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    host.answer(request, Answer::Stored { size: 2 }, None);
    let left = host.finish();
    assert_eq!(cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["good", "bad"]);
    assert_eq!(left.outcome(), Some(Outcome::Success));
    assert!(left.log(2).contains("bad.xml"), "{}", left.log(2));
}

#[test]
fn a_tree_is_checked_out() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("src")).unwrap();
    std::fs::write(tree.path().join("src/a"), "x").unwrap();
    let mut host = Host::new(vec![
        built_in(Action::Checkout { path: None, method: Method::Blobless }),
        run("cat src/a"),
    ]);
    host.spec.source = Source::Tree { path: tree.path().to_string_lossy().into_owned() };
    host.tree = Some(OwnedFd::from(File::open(tree.path()).unwrap()));
    let left = host.left();
    assert_eq!(left.log(2), "x", "{}", left.log(1));
}

#[test]
fn a_repository_is_cloned_at_its_revision() {
    let origin = tempfile::tempdir().unwrap();
    let git = "git -c user.name=n -c user.email=e@example.org";
    let make = format!(
        "git init -q -b main; echo 1 > f; git add f; {git} commit -qm 1; echo 2 > f; {git} commit -qam 2; git rev-parse HEAD~1"
    );
    let made =
        std::process::Command::new("sh").args(["-ec", &make]).current_dir(origin.path()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let revision = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut host = Host::new(vec![
        built_in(Action::Checkout { path: None, method: Method::Blobless }),
        run("cat f; git status --short; git branch --show-current"),
    ]);
    let url = origin.path().to_string_lossy().into_owned();
    host.spec.source = Source::Git { url, revision, branch: Some("main".to_owned()), tag: None };
    let host = host.begun();
    let (request, Wanted::TakeMirror { .. }, None) = host.request() else { panic!("the host's copy") };
    host.answer(request, Answer::NoMirror, None);
    lend(&host);
    let (request, Wanted::KeepMirror { .. }, Some(_)) = host.request() else { panic!("a copy for the host") };
    host.answer(request, Answer::NoMirror, None);
    let left = host.finish();
    assert_eq!(left.log(2), "1\nmain\n", "{}", left.log(1));
}

#[test]
fn a_pipeline_without_a_source_says_so_at_its_checkout() {
    let left = Host::new(vec![built_in(Action::Checkout { path: None, method: Method::Blobless })]).left();
    assert_eq!(left.step(1), Some((StepStatus::Failed, None)));
    assert!(left.log(1).starts_with("Error: "), "{}", left.log(1));
}
