//! `roundhouse run` to its end: exit status, report, and what it said.

use crate::{rig::Rig, wait};
use protocol::run::{JobReport, RunReport};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// How long any run may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What became of a command.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; -1 where a signal ended it.
    pub status: i32,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Ended {
    /// The one JSON document of `--output json`.
    pub fn report(&self) -> RunReport {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("no report ({error}): {self:#?}"))
    }

    /// A job of the only workflow.
    pub fn job(&self, name: &str) -> JobReport {
        let report = self.report();
        let jobs = report.workflows.into_iter().flat_map(|workflow| workflow.jobs);
        jobs.into_iter().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name}: {self:#?}"))
    }

    /// The output of a step of a job's first task.
    pub fn step(&self, job: &str, step: &str) -> String {
        let task = self.job(job).tasks.into_iter().next().unwrap_or_else(|| panic!("{job} had no task"));
        let step = task.steps.into_iter().find(|known| known.name == step);
        step.unwrap_or_else(|| panic!("no such step: {self:#?}")).output
    }
}

impl Rig {
    /// Makes a project with this configuration.
    pub fn project(&self, name: &str, config: &str) -> PathBuf {
        self.write(&format!("{name}/.circleci/config.yml"), config);
        self.path(name)
    }

    /// `roundhouse run --output json` in a project, its state in `state`.
    pub fn run(&self, project: &Path, arguments: &[&str]) -> Ended {
        let mut command = self.roundhouse();
        command.arg("run").arg(project).args(["--output", "json", "--state-dir"]).arg(self.path("state"));
        command.args(arguments);
        self.finish(command)
    }

    /// Runs a command to its end.
    pub fn finish(&self, mut command: Command) -> Ended {
        let (output, errors) = (self.fresh("out"), self.fresh("err"));
        let made = |path: &Path| File::create(path).expect("it is ours");
        let child = command.stdin(Stdio::null()).stdout(made(&output)).stderr(made(&errors)).spawn();
        let mut child = child.expect("the program is there");
        let ended =
            wait::until(&format!("the end of {command:?}"), PATIENCE, || child.try_wait().ok().flatten());
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("it is ours")).into_owned();
        Ended { status: code(ended), output: read(&output), errors: read(&errors) }
    }

    /// A path that is not there yet.
    fn fresh(&self, kind: &str) -> PathBuf {
        let paths = (0..).map(|number| self.path(&format!("{number}.{kind}")));
        paths.into_iter().find(|path| !path.exists()).expect("numbers do not end")
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}
