//! Projects of a control plane: their repositories, named, listed and taken away.

use crate::{
    arguments::{AppOptions, ProjectCommand, ProjectQueue},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    resources::columns,
    say,
};
use client::Operator;
use protocol::{
    queue::ProjectRules,
    webhook::{GithubApp, NewRepository},
};
use std::{fs::File, io::Read, path::Path};

/// The longest file that is read as a secret.
const MOST: u64 = 64 * 1024;

/// `roundhouse project`.
pub(crate) fn projects(command: &ProjectCommand) -> Result<(), Failure> {
    match command {
        ProjectCommand::Create {
            project,
            url,
            provider,
            secret_file,
            resource_class,
            pull_requests,
            forks,
            token_file,
            app,
            jobs_check_out_with,
            statuses,
            api,
            connection,
        } => {
            let new = NewRepository {
                url: url.clone(),
                provider: (*provider).into(),
                secret: secret_file.as_deref().map(secret).transpose()?,
                default_class: resource_class.clone(),
                pull_requests: *pull_requests,
                forks: (*forks).into(),
                token: token_file.as_deref().map(secret).transpose()?,
                app: app.read()?,
                jobs_check_out_with: (*jobs_check_out_with).into(),
                statuses: statuses.map(Into::into).unwrap_or_default(),
                api: api.clone(),
            };
            let access = Access::of(connection)?;
            block_on(create(access.operator(), project, new))
        }
        ProjectCommand::Queue(options) => {
            let access = Access::of(&options.connection)?;
            block_on(rule(access.operator(), options))
        }
        ProjectCommand::Env(command) => crate::contexts::project_env(command),
        ProjectCommand::List { connection } => {
            let access = Access::of(connection)?;
            block_on(list(access.operator()))
        }
        ProjectCommand::Delete { project, connection } => {
            let access = Access::of(connection)?;
            block_on(async { access.operator().forget_repository(project).await.map_err(failed) })?;
            say::note(format_args!("{project} has no repository any more"));
            Ok(())
        }
    }
}

impl AppOptions {
    /// The App that they name.
    fn read(&self) -> Result<Option<GithubApp>, Failure> {
        let (Some(id), Some(installation), Some(file)) =
            (&self.app_id, self.app_installation, &self.app_key_file)
        else {
            return Ok(None);
        };
        Ok(Some(GithubApp { id: id.clone(), installation, private_key: secret(file)? }))
    }
}

/// The secret alone goes to standard output, so that a script can hand it on.
async fn create(operator: Operator, project: &str, new: NewRepository) -> Result<(), Failure> {
    let made = operator.name_repository(project, &new).await.map_err(failed)?;
    say::note(format_args!(
        "{} is the repository of {project}; have its webhooks (JSON; pushes, pull requests) sent to {} of the control plane",
        made.url, made.webhook
    ));
    let Some(secret) = made.secret else { return Ok(()) };
    say::note(format_args!("with this secret, which is shown this once:"));
    say::print(format_args!("{secret}\n"))
}

/// What was not said stays; where nothing was, nothing is changed.
async fn rule(operator: Operator, options: &ProjectQueue) -> Result<(), Failure> {
    let ProjectQueue { project, priority, max_tasks, cancel_redundant, .. } = options;
    let now = operator.project_rules(project).await.map_err(failed)?;
    let rules = ProjectRules {
        priority: priority.unwrap_or(now.priority),
        max_tasks: max_tasks.map_or(now.max_tasks, |most| most.0),
        cancel_redundant: cancel_redundant.unwrap_or(now.cancel_redundant),
    };
    if rules != now {
        operator.rule_project(project, &rules).await.map_err(failed)?;
    }
    let most =
        rules.max_tasks.map_or_else(|| "any number of tasks".to_owned(), |most| format!("{most} tasks"));
    let redundant = if rules.cancel_redundant { "canceled" } else { "left alone" };
    say::print(format_args!(
        "{project}: priority {}, {most} at once, redundant pipelines of a branch are {redundant}\n",
        rules.priority
    ))
}

async fn list(operator: Operator) -> Result<(), Failure> {
    let all = operator.repositories().await.map_err(failed)?;
    let rows = all.into_iter().map(|one| {
        let events = if one.pull_requests { "pushes, pull requests" } else { "pushes" };
        let (provider, statuses) = (one.provider.name().to_owned(), one.statuses.name().to_owned());
        let forks = one.forks.name().replace('_', "-");
        [one.project, one.url, provider, events.to_owned(), forks, statuses]
    });
    let head = ["PROJECT", "REPOSITORY", "PROVIDER", "EVENTS", "FORKS", "STATUSES"];
    say::print(columns(head, rows.collect()))
}

/// Without what an editor adds at the end of a line.
pub(crate) fn secret(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let what = format!("cannot read the secret {}", path.display());
    let done = match path == Path::new("-") {
        true => std::io::stdin().lock().take(MOST).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)),
    };
    done.or_usage(what)?;
    Ok(text.trim_end().to_owned())
}
