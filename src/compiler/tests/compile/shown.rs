//! How a case looks in its snapshot: the text, what is said of it, and the pipeline, a line per job and step.

use compiler::{Inputs, examine};
use protocol::{
    image::Image,
    pipeline::{Executor, Job, Kind, Pipeline, Requirement},
    task::{Action, NO_OUTPUT_TIMEOUT_MS, Run, Step, When},
};

/// Inputs as most cases have them: natively, on the branch `main`.
pub(crate) fn inputs() -> Inputs {
    let mut inputs =
        Inputs { native: true, number: 7, project: "local/here".to_owned(), ..Inputs::default() };
    inputs.git.branch = Some("main".to_owned());
    inputs.git.revision = Some("0123456789abcdef".to_owned());
    inputs
}

/// The text and what comes of it.
pub(crate) fn shown(text: &str, inputs: &Inputs) -> String {
    format!("{}\n════\n{}", text.trim_end(), outcome(text, inputs))
}

/// What comes of a text.
pub(crate) fn outcome(text: &str, inputs: &Inputs) -> String {
    let compilation = examine("config.yml", text, inputs);
    let mut out = String::new();
    for diagnostic in compilation.to_run() {
        out += &compilation.sources.render(&diagnostic);
    }
    match compilation.pipeline {
        Some(pipeline) => out += &shown_pipeline(&pipeline),
        None => out += "no pipeline\n",
    }
    out
}

/// Takes a snapshot of every named case; on the usual inputs.
#[macro_export]
macro_rules! check {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!($crate::shown::shown($text, &$crate::shown::inputs()));
            });
        }
    )*};
}

fn shown_pipeline(pipeline: &Pipeline) -> String {
    let mut out = String::new();
    for workflow in &pipeline.workflows {
        let reruns = Some(workflow.max_auto_reruns).filter(|most| *most > 0);
        let reruns = reruns.map(|most| format!(" again {most} times")).unwrap_or_default();
        out += &format!("workflow {}{reruns}\n", workflow.name);
        workflow.jobs.iter().for_each(|job| out += &shown_job(job));
    }
    if pipeline.workflows.is_empty() { "no workflow\n".to_owned() } else { out }
}

fn shown_job(job: &Job) -> String {
    let mut out = format!("  job {}", job.name);
    if !job.requires.is_empty() {
        let requires: Vec<String> = job.requires.iter().map(Requirement::shown).collect();
        out += &format!(" after {}", requires.join(", "));
    }
    match job.kind {
        Kind::Build => {}
        Kind::Approval => return out + " waits for an approval\n",
        Kind::NoOp => return out + " does nothing\n",
        Kind::Release => {
            return out + &format!(" waits for the release {}\n", job.plan.as_deref().unwrap_or_default());
        }
        Kind::Lock => return out + &format!(" locks {}\n", job.serial_group.as_deref().unwrap_or_default()),
        Kind::Unlock => {
            return out + &format!(" unlocks {}\n", job.serial_group.as_deref().unwrap_or_default());
        }
    }
    if let Some(group) = &job.serial_group {
        out += &format!(" alone in {group}");
    }
    match &job.executor {
        Executor::Docker { images } => {
            out += &format!(" in {}", images.iter().map(shown_image).collect::<Vec<_>>().join(" + "));
        }
        Executor::Machine => out += " on a machine",
        Executor::Macos => out += " on macos",
    }
    if job.parallelism != 1 {
        out += &format!(" x{}", job.parallelism);
    }
    if let Some(class) = &job.resource_class {
        out += &format!(" class {class}");
    }
    if job.working_directory != "~/project" {
        out += &format!(" at {}", job.working_directory);
    }
    out += &job.contexts.iter().map(|context| format!(" context {context}")).collect::<String>();
    out += &shown_environment(&job.environment);
    out.push('\n');
    job.steps.iter().for_each(|step| out += &format!("    {}\n", shown_step(step)));
    out
}

fn shown_image(image: &Image) -> String {
    let mut out = image.image.clone();
    for (name, value) in [("named", &image.name), ("as", &image.user)] {
        if let Some(value) = value {
            out += &format!(" {name} {value}");
        }
    }
    for (name, words) in [("entrypoint", &image.entrypoint), ("command", &image.command)] {
        if let Some(words) = words {
            out += &format!(" {name} {words:?}");
        }
    }
    if let Some(auth) = &image.auth {
        out += &format!(" by {}:{}", auth.username, auth.password);
    }
    out + &shown_environment(&image.environment)
}

fn shown_environment(environment: &[(String, String)]) -> String {
    environment.iter().map(|(name, value)| format!(" {name}={value:?}")).collect()
}

fn shown_step(step: &Step) -> String {
    let when = match step.when {
        When::OnSuccess => "",
        When::Always => " always",
        When::OnFail => " on_fail",
    };
    format!("{:?}{when}: {}", step.name, shown_action(&step.action))
}

fn shown_action(action: &Action) -> String {
    match action {
        Action::Run(run) => shown_run(run),
        other => {
            let json = serde_json::to_string(other).expect("an action has no keys but texts");
            json.replace('"', "")
        }
    }
}

fn shown_run(run: &Run) -> String {
    let mut out = format!("run {:?}", run.command);
    for (name, value) in [("shell", &run.shell), ("at", &run.working_directory)] {
        if let Some(value) = value {
            out += &format!(" {name} {value}");
        }
    }
    if run.background {
        out += " background";
    }
    if run.no_output_timeout_ms != NO_OUTPUT_TIMEOUT_MS {
        out += &format!(" silent {}ms", run.no_output_timeout_ms);
    }
    if run.max_auto_reruns > 0 {
        out += &format!(" again {} times", run.max_auto_reruns);
    }
    if run.auto_rerun_delay_ms > 0 {
        out += &format!(" after {}ms", run.auto_rerun_delay_ms);
    }
    out + &shown_environment(&run.environment)
}
