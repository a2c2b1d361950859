//! What a launch-agent and its tasks take while they only wait.

use crate::{
    Scale, follow,
    follow::job,
    table::{Row, mebibytes},
};
use integration::proc;
use std::time::Duration;

/// Idle, and with many tasks that sleep.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    actix_rt::System::new().block_on(async {
        let bench = follow::start(scale.tasks).await;
        let agent = bench.agent.process();
        let idle = agent.memory();
        let id = bench.server.pipeline(&job("sleep 600", scale.tasks), follow::CLASS).await;
        let task_agents = running(&bench, scale.tasks);
        let all: u64 = agent.memory() + task_agents.iter().map(|process| process.memory()).sum::<u64>();
        let each = all.saturating_sub(idle) / scale.tasks as u64;
        let (threads, descriptors) = (agent.threads(), agent.descriptors());
        bench.server.operator().cancel(id).await.expect("the control plane answers");
        vec![
            Row {
                work: "launch-agent, idle, PSS".to_owned(),
                ours: mebibytes(idle),
                floor: "–".to_owned(),
                ratio: None,
                budget: "≤ 10 MiB",
            },
            Row {
                work: format!("each of {} running tasks, PSS of our processes", scale.tasks),
                ours: format!(
                    "{} ({threads} threads, {descriptors} descriptors in the launch-agent)",
                    mebibytes(each)
                ),
                floor: "–".to_owned(),
                ratio: None,
                budget: "≤ 0.6 MiB",
            },
        ]
    })
}

/// The task-agents, once each of them has its job's process below it.
fn running(bench: &follow::Bench, tasks: usize) -> Vec<proc::Process> {
    // Of the task-agents: jobs' own processes work in directories of the same state.
    let programs = bench.agent.state.join("agents").to_string_lossy().into_owned();
    integration::wait::until("every task runs", Duration::from_secs(120), || {
        let sleeping = proc::running("sleep 600").len();
        let agents = proc::running(&programs);
        (sleeping >= tasks && agents.len() >= tasks).then_some(agents)
    })
}
