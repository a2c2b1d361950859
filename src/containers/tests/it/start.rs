//! How a primary begins.

use crate::{
    podman::{BOX, CIMG, ENTRY, Podman},
    task::{Task, engine},
};
use containers::{Engine, Limits, Pull, PullError, StartError, State, Wanted, Wish, holds};

#[tokio::test]
async fn the_task_agent_is_the_first_process_and_finds_all_it_was_given() {
    let Some(podman) = Podman::start() else { return };
    let mut task = Task::new(&podman, CIMG).await;
    task.order.primary.user = Some("nobody".to_owned());
    let running = task.start().await;
    task.found("here").await;
    assert!(running.first.is_alive());
    assert!(holds(&running.id, running.first, running.first.pid));
    assert!(!holds(&running.id, running.first, i32::try_from(std::process::id()).unwrap()));
    let State::Running { pid } = task.engine.inspect(&running.id).await.unwrap() else { panic!("it runs") };
    assert_eq!(pid, running.first.pid);
    task.end(7);
    let (lines, state) = task.heard(&running.id).await;
    assert_eq!(lines[0], "invited: {\"come\":1}");
    assert_eq!(lines[1], "as 0 in /home/circleci/project");
    assert!(lines[2].starts_with("told: --resident {\"user\":\"nobody\""), "{}", lines[2]);
    assert!(lines[3].starts_with("GREETING=a b=c files="), "{}", lines[3]);
    assert_eq!(state, State::Ended { code: 7, out_of_memory: false, message: String::new() });
    assert!(!running.first.is_alive());
    task.kill().await;
    assert_eq!(task.engine.inspect(&running.id).await.unwrap(), State::Gone);
}

#[tokio::test]
async fn what_the_image_says_about_user_and_entrypoint_is_told_to_the_task_agent() {
    let Some(podman) = Podman::start() else { return };
    for (image, user, beside) in [(CIMG, "circleci", "[]"), (ENTRY, "", "[\"/entry\",\"serve\"]")] {
        let task = Task::new(&podman, image).await;
        let running = task.start().await;
        task.end(0);
        let (lines, _) = task.heard(&running.id).await;
        let told = format!(
            "told: --resident {{\"user\":\"{user}\",\"home\":null,\"working_directory\":\"~/project\",\"beside\":{beside}}}"
        );
        assert_eq!(lines[2], told);
        task.kill().await;
    }
}

#[tokio::test]
async fn limits_hold_in_the_container() {
    let Some(podman) = Podman::start() else { return };
    let mut task = Task::new(&podman, BOX).await;
    if !task.engine.about().limits {
        return eprintln!("skipped: {} ", task.engine.about());
    }
    task.order.limits = Limits { millicpus: Some(1500), memory: Some(64 << 20), processes: Some(77) };
    let running = task.start().await;
    let format = "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}";
    assert_eq!(podman.printed(&["inspect", "--format", format, &running.id]), "1500000000 67108864 77");
    task.kill().await;
    let mut other = Task::at(task.engine.clone(), podman.path(), BOX);
    other.order.limits.millicpus = Some(1_000_000);
    let running = other.start().await;
    let most = u64::from(task.engine.about().processors) * 1_000_000_000;
    let printed = podman.printed(&["inspect", "--format", "{{.HostConfig.NanoCpus}}", &running.id]);
    assert_eq!(printed, most.to_string(), "an engine refuses more processors than there are");
    other.kill().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let Some(podman) = Podman::start() else { return };
    let mut task = Task::new(&podman, BOX).await;
    task.order.primary.image = "localhost/none:1".to_owned();
    let error = task.engine.start(&task.order).await.unwrap_err().to_string();
    assert!(error.contains("localhost/none:1"), "{error}");
    task.order.primary.image = "../containers".to_owned();
    let error = task.engine.start(&task.order).await.unwrap_err();
    assert!(matches!(error, StartError::Name { .. }), "{error}");

    let mut task = Task::new(&podman, BOX).await;
    std::fs::write(&task.order.program, "#!/bin/sh\necho no way >&2\nexit 3\n").unwrap();
    let error = task.why_it_ended().await;
    assert!(error.contains("exit code 3") && error.contains("no way"), "{error}");
    task.kill().await;

    task = Task::new(&podman, BOX).await;
    std::fs::remove_file(&task.order.program).unwrap();
    let error = task.engine.start(&task.order).await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    task.kill().await;
}

#[tokio::test]
async fn an_engine_says_what_it_is_and_one_that_is_not_there_where_it_was_looked_for() {
    let Some(podman) = Podman::start_own() else { return };
    let about = engine(&podman).await.about().clone();
    assert_eq!((about.name, about.socket), ("Podman", podman.socket()));
    assert_eq!(about.is_rootless, !rustix::process::geteuid().is_root());
    let wish = Wish { socket: Some(podman.path().join("nobody")), ..Wish::default() };
    let error = Engine::find(&wish).await.unwrap_err().to_string();
    assert!(error.contains("nobody: No such file"), "{error}");
}

#[tokio::test]
async fn images_are_here_or_not_as_the_policy_says() {
    let Some(podman) = Podman::start() else { return };
    let engine = engine(&podman).await;
    let wanted = |image: &str| [Wanted { image: image.to_owned(), login: None }];
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    engine.prepare(&wanted(BOX), Pull::Missing, &mut tell).await.unwrap();
    engine.prepare(&wanted(BOX), Pull::Never, &mut tell).await.unwrap();
    let error = engine.prepare(&wanted("localhost/none"), Pull::Never, &mut tell).await.unwrap_err();
    assert!(matches!(&error, PullError::Never(name) if name == "localhost/none:latest"), "{error}");
    // Nothing listens there.
    let error = engine.prepare(&wanted("localhost:1/none:2"), Pull::Missing, &mut tell).await.unwrap_err();
    assert!(matches!(error, PullError::Refused { .. }) && error.to_string().contains("refused"), "{error}");
    let error = engine.prepare(&wanted("none at all"), Pull::Missing, &mut tell).await.unwrap_err();
    assert!(matches!(error, PullError::Name(_)), "{error}");
    assert_eq!(
        told,
        [
            format!("Image {BOX} is here."),
            format!("Image {BOX} is here."),
            "Pulling image localhost:1/none:2.".to_owned()
        ]
    );
}

#[tokio::test]
async fn the_engines_own_network_is_the_default() {
    let Some(podman) = Podman::start() else { return };
    if engine(&podman).await.about().is_rootless && !is_open("/dev/net/tun") {
        return eprintln!(
            "skipped: this account may not open /dev/net/tun, by which its containers have a network"
        );
    }
    let mut task = Task::new(&podman, BOX).await;
    task.order.network = None;
    let script = "#!/bin/sh\nip -4 -o addr | grep -v ' lo ' >/.roundhouse/door/ip; mv /.roundhouse/door/ip /.roundhouse/door/here\nexec sleep 1000\n";
    std::fs::write(&task.order.program, script).unwrap();
    task.start().await;
    let addresses = std::fs::read_to_string(task.found("here").await).unwrap();
    assert!(addresses.contains("inet 10."), "{addresses}");
    task.kill().await;
}

fn is_open(path: &str) -> bool {
    std::fs::File::options().read(true).write(true).open(path).is_ok()
}
