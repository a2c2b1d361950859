//! `roundhouse approve` and `roundhouse release`: list the jobs that wait for an answer, here and on a control plane, and
//! give it.

mod choice;

use choice::Wanted;
pub(crate) use choice::names;

use crate::{
    arguments::{self, Among},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::words,
    resources::columns,
    run, say,
};
use client::Operator;
use protocol::api::{OnHold, ReleaseStatus, Released};
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
    let places = places(&options.among)?;
    block_on(async {
        let waiting = waiting(places, &options.among).await?;
        let jobs: Vec<&OnHold> = waiting.iter().map(|one| &one.job).collect();
        if options.json {
            return print_json(&jobs);
        }
        let chosen = match options {
            arguments::Approve { all: true, .. } => choice::all(&jobs, Wanted::Approval),
            arguments::Approve { jobs: named, .. } if !named.is_empty() => {
                choice::named(named, &jobs, Wanted::Approval)?
            }
            _ => {
                say::print(listed(&jobs, "no job waits for an approval"))?;
                if options.list { Vec::new() } else { asked(&jobs)? }
            }
        };
        let by = options.among.by.clone().unwrap_or_else(who);
        for place in chosen {
            give(&waiting[place], &by).await?;
        }
        Ok(())
    })
}

/// Lists, or says how releases ended.
pub(crate) fn release(options: &arguments::Release) -> Result<(), Failure> {
    let places = places(&options.among)?;
    block_on(async {
        let waiting = waiting(places, &options.among).await?;
        let jobs: Vec<&OnHold> = waiting.iter().map(|one| &one.job).collect();
        if options.jobs.is_empty() {
            let jobs: Vec<&OnHold> =
                choice::all(&jobs, Wanted::Release).into_iter().map(|place| jobs[place]).collect();
            let list = || say::print(listed(&jobs, "no job waits for a release"));
            return if options.json { print_json(&jobs) } else { list() };
        }
        let status = if options.failed { ReleaseStatus::Failed } else { ReleaseStatus::Success };
        let by = Some(options.among.by.clone().unwrap_or_else(who));
        let released = Released { status, reason: options.reason.clone(), by };
        for place in choice::named(&options.jobs, &jobs, Wanted::Release)? {
            end(&waiting[place], &released).await?;
        }
        Ok(())
    })
}

fn print_json(jobs: &[&OnHold]) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(jobs).or_machinery("cannot write the document")?;
    say::print(format_args!("{text}\n"))
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

fn places(options: &Among) -> Result<Vec<Place>, Failure> {
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
async fn waiting(places: Vec<Place>, options: &Among) -> Result<Vec<Waiting>, Failure> {
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
fn listed(waiting: &[&OnHold], nothing: &str) -> String {
    if waiting.is_empty() {
        return format!("{nothing}\n");
    }
    let rows = waiting.iter().enumerate().map(|(place, job)| {
        [
            (place + 1).to_string(),
            words::shown(&job.name),
            words::shown(&job.workflow_name),
            format!("{} {}", words::shown(&job.project), job.number),
            Wanted::shown(job),
            words::elapsed(seconds_since(job.since_ms)),
            job.pipeline.to_string(),
        ]
    });
    columns(["", "JOB", "WORKFLOW", "PIPELINE", "WAITS FOR", "SINCE", "ID"], rows.collect())
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
    say::note(format_args!("approved {}", place(job)));
    Ok(())
}

async fn end(Waiting { job, operator }: &Waiting, released: &Released) -> Result<(), Failure> {
    operator.release(job.workflow, job.job, released).await.map_err(failed)?;
    let how = match released.status {
        ReleaseStatus::Success => "is over",
        ReleaseStatus::Failed => "failed",
    };
    say::note(format_args!("{} {how}: {}", Wanted::shown(job), place(job)));
    Ok(())
}

fn place(job: &OnHold) -> String {
    let [name, workflow, project] =
        [&job.name, &job.workflow_name, &job.project].map(|one| words::shown(one));
    format!("{name} of the workflow {workflow}, {project} {}", job.number)
}
