//! Projects of a control plane: their repositories, named, listed and taken away.

use crate::{
    arguments::ProjectCommand,
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    resources::columns,
    say,
};
use client::Operator;
use protocol::webhook::NewRepository;
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
                statuses: statuses.map(Into::into).unwrap_or_default(),
                api: api.clone(),
            };
            let access = Access::of(connection)?;
            block_on(create(access.operator(), project, new))
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
fn secret(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let what = format!("cannot read the secret {}", path.display());
    let done = match path == Path::new("-") {
        true => std::io::stdin().lock().take(MOST).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)),
    };
    done.or_usage(what)?;
    Ok(text.trim_end().to_owned())
}
