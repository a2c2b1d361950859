//! A launch-agent that takes up a new program or configuration under running jobs, or stays as it is and says why.

use integration::{
    pipelines::{count_to, count_until, is_counted, logged, numbers, only_task},
    proc,
    rig::{Rig, Running, Server},
    wait,
};
use protocol::{
    ids::PipelineId,
    status::{Outcome, WorkflowStatus},
};
use rustix::process::Signal;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const CLASS: &str = "rig/linux";
const OTHER: &str = "rig/other";
const SOON: Duration = Duration::from_secs(20);
/// The job's own step, behind the launch-agent's.
const STEP: u32 = 1;

struct House {
    rig: Rig,
    server: Server,
    token: String,
    /// The launch-agent's program, to be broken.
    program: PathBuf,
}

impl House {
    async fn new() -> Self {
        let rig = Rig::new();
        // Of leases that end soon if nobody renews them.
        let server = rig.server_with("server", "127.0.0.1:0", &["--lease", "3s"]);
        let token = server.class(CLASS).await;
        let program = rig.path("roundhouse");
        fs::copy(rig.roundhouse().get_program(), &program).expect("the program is there");
        Self { rig, server, token, program }
    }

    fn configure(&self, runner: &[(&str, &str)]) -> PathBuf {
        self.rig.configure("agent", &self.server.url, &[(CLASS, &self.token)], runner)
    }

    fn agent(&self, runner: &[(&str, &str)]) -> Running {
        let mut command = Command::new(&self.program);
        command.arg("launch-agent").arg("-c").arg(self.configure(runner));
        self.rig.start("agent", command)
    }

    /// A job that runs until its gate is opened.
    async fn gated(&self, name: &str) -> PipelineId {
        let gate = self.rig.path(name);
        let command = format!("echo started; until [ -e {} ]; do sleep 0.05; done", gate.display());
        self.server.job(CLASS, &command).await
    }

    fn open(&self, name: &str) {
        self.rig.write(name, "");
    }

    /// Waits until so much of the job's output is stored.
    async fn has_said(&self, pipeline: PipelineId, bytes: u64) -> u64 {
        let said = |view: &_| Some(logged(view, STEP)).filter(|said| *said > bytes);
        self.server.sees(pipeline, "more of its output", said).await
    }

    async fn logged(&self, pipeline: PipelineId) -> u64 {
        self.server.sees(pipeline, "its log", |view| Some(logged(view, STEP))).await
    }

    async fn succeeds(&self, pipeline: PipelineId) -> String {
        let view = self.server.ended(pipeline).await;
        assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
        self.server.log(only_task(&view).id, STEP).await
    }
}

const SERVES: &str = "the launch-agent is Serving";
const REFUSED: &str = "not reloaded";

/// Hangs up and waits until it has said so once more.
fn hang_up(agent: &Running, said: &str) {
    let before = agent.says(said);
    agent.process().signal(Signal::HUP);
    wait::until(said, SOON, || (agent.says(said) > before).then_some(()));
}

#[actix_rt::test]
async fn a_job_goes_on_under_three_reloads_and_no_byte_of_its_log_is_lost_or_doubled() {
    let house = House::new().await;
    let agent = house.agent(&[("concurrency", "2")]);
    let pipeline = house.server.job(CLASS, &count_until(&house.rig.path("gate"))).await;
    let mut said = house.has_said(pipeline, 20).await;
    for _ in 0..3 {
        hang_up(&agent, SERVES);
        said = house.has_said(pipeline, said).await;
    }
    house.open("gate");
    is_counted(&house.succeeds(pipeline).await);
    assert_eq!(agent.says("a task is adopted"), 3);
    let children = || proc::all().into_iter().filter(|one| one.parent() == Some(agent.process())).count();
    wait::until("its task-agent is reaped", SOON, || (children() == 0).then_some(()));
}

#[actix_rt::test]
async fn what_would_not_work_is_refused_by_name_and_the_old_goes_on() {
    let house = House::new().await;
    let agent = house.agent(&[("concurrency", "2")]);
    let pipeline = house.gated("gate").await;
    house.has_said(pipeline, 0).await;
    let program = house.program.as_path();
    let whole = house.rig.path("whole");
    fs::rename(program, &whole).unwrap();
    let refuses = |what: &str| {
        hang_up(&agent, REFUSED);
        assert!(agent.says(what) > 0, "{what}: {}", fs::read_to_string(&agent.log).unwrap());
    };
    refuses("No such file or directory");
    put(program, "no program", 0o644);
    refuses("Permission denied");
    put(program, "\x7fELF of another machine", 0o755);
    refuses("Exec format error");
    put(program, "#!/bin/sh\necho not today >&2; exit 3\n", 0o755);
    refuses("not today");
    fs::rename(&whole, program).unwrap();
    house.configure(&[("concurrency", "none")]);
    refuses("agent.yaml:6:");
    let elsewhere = house.rig.path("elsewhere").display().to_string();
    house.configure(&[("concurrency", "2"), ("task_directory", &elsewhere)]);
    refuses("would not keep its tasks where those lie that run now");
    assert_eq!(agent.says(SERVES), 1);
    house.configure(&[("concurrency", "2")]);
    hang_up(&agent, SERVES);
    house.open("gate");
    house.succeeds(pipeline).await;
}

#[actix_rt::test]
async fn a_program_that_is_gone_at_the_last_moment_leaves_the_old_one_with_its_tasks() {
    let house = House::new().await;
    let agent = house.agent(&[("concurrency", "1")]);
    let pipeline = house.server.job(CLASS, &count_to(300)).await;
    let said = house.has_said(pipeline, 20).await;
    let whole = house.rig.path("whole");
    fs::rename(&house.program, &whole).unwrap();
    put(&house.program, &format!("#!/bin/sh\n{} \"$@\"; rm \"$0\"\n", whole.display()), 0o755);
    hang_up(&agent, REFUSED);
    assert_eq!(agent.says("No such file or directory"), 1);
    wait::until("it adopts its own task", SOON, || (agent.says("a task is adopted") == 1).then_some(()));
    house.has_said(pipeline, said).await;
    fs::rename(&whole, &house.program).unwrap();
    hang_up(&agent, SERVES);
    assert_eq!(house.succeeds(pipeline).await, numbers(300));
}

fn put(path: &Path, text: &str, mode: u32) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).expect("it is ours");
    fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).expect("it is ours");
    fs::rename(draft, path).expect("it is ours");
}

#[actix_rt::test]
async fn concurrency_goes_up_and_down_under_running_tasks() {
    let house = House::new().await;
    let agent = house.agent(&[("concurrency", "1")]);
    let [one, two, three] = [house.gated("one").await, house.gated("two").await, house.gated("three").await];
    house.has_said(one, 0).await;
    assert_eq!(house.logged(two).await, 0);
    house.configure(&[("concurrency", "2")]);
    hang_up(&agent, SERVES);
    house.has_said(two, 0).await;
    house.configure(&[("concurrency", "1")]);
    hang_up(&agent, SERVES);
    house.open("one");
    house.succeeds(one).await;
    assert_eq!(house.logged(three).await, 0, "there is room for one, and the second runs");
    house.open("two");
    house.succeeds(two).await;
    house.open("three");
    house.succeeds(three).await;
}

#[actix_rt::test]
async fn tasks_of_a_class_that_is_gone_keep_their_leases_and_hear_of_their_cancel() {
    let house = House::new().await;
    let agent = house.agent(&[("concurrency", "2")]);
    let (kept, canceled) = (house.gated("gate").await, house.gated("never").await);
    house.has_said(kept, 0).await;
    house.has_said(canceled, 0).await;
    let other = house.server.class(OTHER).await;
    house.rig.configure("agent", &house.server.url, &[(OTHER, &other)], &[("concurrency", "3")]);
    hang_up(&agent, SERVES);
    // More than a lease long.
    let count = "for number in $(seq 1 50); do echo $number; sleep 0.1; done";
    let count = house.server.job(OTHER, count).await;
    assert_eq!(house.succeeds(count).await, numbers(50));
    house.server.operator().cancel(canceled).await.unwrap();
    let view = house.server.ended(canceled).await;
    assert_eq!(only_task(&view).outcome, Some(Outcome::Canceled), "{view:#?}");
    house.open("gate");
    assert_eq!(house.succeeds(kept).await, "started\n");
}

#[actix_rt::test]
async fn a_single_task_stays_the_only_one_over_lives() {
    let house = House::new().await;
    let single = [("mode", "single-task")];
    let mut agent = house.agent(&single);
    wait::until("it serves", SOON, || (agent.says(SERVES) > 0).then_some(()));
    hang_up(&agent, SERVES);
    let first = house.gated("first").await;
    house.has_said(first, 0).await;
    hang_up(&agent, "it is about to end");
    agent.kill();
    let mut agent = house.agent(&single);
    let second = house.gated("second").await;
    house.open("first");
    house.succeeds(first).await;
    assert_eq!(agent.ended(SOON), 0);
    assert_eq!(house.logged(second).await, 0);
}
