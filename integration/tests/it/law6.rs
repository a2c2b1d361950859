//! Law 6 under a partition: no task runs twice by itself once its user code may have started.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    partition::{Partition, Silence},
    pipelines::only_task,
    rig::{Rig, Server},
    wait,
};
use protocol::status::{Outcome, WorkflowStatus};
use std::{fs, path::PathBuf, time::Duration};

const CLASS: &str = "rig/linux";
const BEGIN: &str = "POST /api/v3/task/begin";

struct House {
    rig: Rig,
    server: Server,
    token: String,
    /// Every run of the job leaves a line here.
    runs: PathBuf,
}

impl House {
    async fn new() -> Self {
        let rig = Rig::new();
        let server = rig.server_with("server", "127.0.0.1:0", &["--lease", "3s"]);
        let token = server.class(CLASS).await;
        let runs = rig.write("runs", "");
        fs::set_permissions(&runs, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        Self { rig, server, token, runs }
    }

    fn command(&self) -> String {
        format!("echo $CIRCLE_BUILD_NUM >> {}", self.runs.display())
    }

    fn times_run(&self) -> usize {
        fs::read_to_string(&self.runs).unwrap().lines().count()
    }

    fn agent(&self, name: &str, url: &str) -> integration::rig::Agent {
        self.rig.agent_with(name, url, &[(CLASS, &self.token)], &[("concurrency", "1")])
    }
}

#[actix_rt::test]
async fn a_claim_whose_begin_never_arrived_runs_once_and_elsewhere() {
    let house = House::new().await;
    let network = Partition::before(&house.server.url, Silence::BeforeRequest(BEGIN));
    let _cut_off = house.agent("cut-off", &network.url());
    let pipeline = house.server.job(CLASS, &house.command()).await;
    wait::until("the partition", Duration::from_secs(20), || network.is_silent().then_some(()));
    let _elsewhere = house.agent("elsewhere", &house.server.url);
    let view = house.server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    assert_eq!(only_task(&view).runner.as_deref(), Some("elsewhere"));
    network.mend();
    assert_eq!(house.times_run(), 1);
}

#[actix_rt::test]
async fn a_claim_whose_begin_was_granted_is_not_run_again() {
    let house = House::new().await;
    let network = Partition::before(&house.server.url, Silence::AfterRequest(BEGIN));
    let _cut_off = house.agent("cut-off", &network.url());
    let pipeline = house.server.job(CLASS, &house.command()).await;
    wait::until("the partition", Duration::from_secs(20), || network.is_silent().then_some(()));
    let _elsewhere = house.agent("elsewhere", &house.server.url);
    let view = house.server.ended(pipeline).await;
    let task = only_task(&view);
    assert_eq!(task.outcome, Some(Outcome::InfrastructureFail), "{view:#?}");
    let message = task.message.as_deref().unwrap_or_default();
    assert!(message.contains("host `") && message.contains("its lease ran out at 20"), "{task:#?}");
    assert_eq!(house.times_run(), 0, "the answer never came, so no user code ran");
}
