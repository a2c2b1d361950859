//! `roundhouse approve`: lists the jobs that wait for an approval, here and on a control plane, and approves them.

mod choice;

pub(crate) use choice::names;

use crate::{
    arguments,
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::words,
    resources::columns,
    run, say,
};
use client::Operator;
use protocol::api::OnHold;
use std::{
    io::{self, IsTerminal},
    time::{SystemTime, UNIX_EPOCH},
};

/// Who approves here, unless they say another name.
pub(crate) fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let account = variable("USER").or_else(|| variable("LOGNAME"));
    let account = account.unwrap_or_else(|| match rustix::process::getuid() {
        uid if uid.is_root() => "root".to_owned(),
        uid => format!("uid {}", uid.as_raw()),
    });
    format!("{account}@{}", launch_agent::config::hostname())
}

/// Lists or approves.
pub(crate) fn approve(options: &arguments::Approve) -> Result<(), Failure> {
    let places = places(options)?;
    block_on(async {
        let waiting = waiting(places, options).await?;
        let jobs: Vec<&OnHold> = waiting.iter().map(|one| &one.job).collect();
        if options.json {
            let text = serde_json::to_string_pretty(&jobs).or_machinery("cannot write the document")?;
            return say::print(format_args!("{text}\n"));
        }
        let chosen = match options {
            arguments::Approve { all: true, .. } => (0..waiting.len()).collect(),
            arguments::Approve { jobs: named, .. } if !named.is_empty() => choice::named(named, &jobs)?,
            _ => {
                say::print(listed(&jobs))?;
                if options.list { Vec::new() } else { asked(&jobs)? }
            }
        };
        let by = options.by.clone().unwrap_or_else(who);
        for place in chosen {
            give(&waiting[place], &by).await?;
        }
        Ok(())
    })
}

/// A job that waits, and whom to tell.
struct Waiting {
    job: OnHold,
    operator: Operator,
}

/// Where jobs may wait.
struct Place {
    access: Access,
    /// Whether the command named it: then it must answer.
    is_named: bool,
}

fn places(options: &arguments::Approve) -> Result<Vec<Place>, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let is_named = options.connection.host.is_some() || options.connection.token.is_some();
    let mut places = Vec::new();
    if !is_named {
        let named = options.state_dir.clone().or_else(|| variable("ROUNDHOUSE_STATE_DIR").map(Into::into));
        for sign in run::door::doors(&run::state_dir(named.as_deref())?) {
            places.push(Place { access: Access::local(&sign.url, &sign.token)?, is_named: false });
        }
    }
    let has_token =
        ["ROUNDHOUSE_TOKEN", "CIRCLECI_CLI_TOKEN"].into_iter().any(|name| variable(name).is_some());
    if is_named || (has_token && options.state_dir.is_none()) {
        let is_named = is_named || places.is_empty();
        places.push(Place { access: Access::of(&options.connection)?, is_named });
    }
    Ok(places)
}

/// What waits in all these places, as far as the options want to see it.
async fn waiting(places: Vec<Place>, options: &arguments::Approve) -> Result<Vec<Waiting>, Failure> {
    let mut waiting = Vec::new();
    for Place { access, is_named } in places {
        let operator = access.operator();
        match operator.on_hold().await {
            Ok(jobs) => {
                waiting.extend(jobs.into_iter().map(|job| Waiting { job, operator: operator.clone() }))
            }
            Err(error) if is_named => return Err(failed(error)),
            // A run that has just ended, or a control plane that nobody asked for.
            Err(error) => say::note(format_args!("roundhouse: {}", failed(error).message)),
        }
    }
    let wanted = |one: &Waiting| {
        options.workflow.as_ref().is_none_or(|name| *name == one.job.workflow_name)
            && options.pipeline.is_none_or(|id| id == one.job.pipeline)
    };
    Ok(waiting.into_iter().filter(wanted).collect())
}

/// What waits, numbered.
fn listed(waiting: &[&OnHold]) -> String {
    if waiting.is_empty() {
        return "no job waits for an approval\n".to_owned();
    }
    let rows = waiting.iter().enumerate().map(|(place, job)| {
        [
            (place + 1).to_string(),
            words::shown(&job.name),
            words::shown(&job.workflow_name),
            format!("{} {}", words::shown(&job.project), job.number),
            words::elapsed(seconds_since(job.since_ms)),
            job.pipeline.to_string(),
        ]
    });
    columns(["", "JOB", "WORKFLOW", "PIPELINE", "WAITS FOR", "ID"], rows.collect())
}

fn seconds_since(ms: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    u64::try_from(now.saturating_sub(ms)).unwrap_or_default() / 1000
}

/// Asks whoever sits at the terminal; without one, nobody.
fn asked(waiting: &[&OnHold]) -> Result<Vec<usize>, Failure> {
    if waiting.is_empty() || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(Vec::new());
    }
    say::print("approve which? (numbers or names, all; nothing: none) ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).or_machinery("cannot read the answer")?;
    choice::answered(&answer, waiting)
}

async fn give(Waiting { job, operator }: &Waiting, by: &str) -> Result<(), Failure> {
    operator.approve(job.workflow, job.job, by).await.map_err(failed)?;
    let (name, workflow, project) =
        (words::shown(&job.name), words::shown(&job.workflow_name), words::shown(&job.project));
    say::note(format_args!("approved {name} of the workflow {workflow}, {project} {}", job.number));
    Ok(())
}
