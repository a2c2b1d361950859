//! Webhooks that a control plane sends for projects: made, listed and deleted.

use crate::{
    arguments::{NewWebhookOptions, WebhookCommand},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::words::shown,
    projects::secret,
    resources::columns,
    say,
};
use client::Operator;
use protocol::outgoing::{Event, NewWebhook, Scope, Webhook};

/// `roundhouse webhook`.
pub(crate) fn webhooks(command: &WebhookCommand) -> Result<(), Failure> {
    match command {
        WebhookCommand::Create(options) => {
            let secret = options.secret_file.as_deref().map(secret).transpose()?;
            let operator = Access::of(&options.connection)?.operator();
            block_on(create(operator, options, secret))
        }
        WebhookCommand::List { project, json, connection } => {
            let operator = Access::of(connection)?.operator();
            let all = block_on(list(operator, project))?;
            if *json {
                let text = serde_json::to_string_pretty(&all).or_machinery("cannot write the document")?;
                return say::print(format_args!("{text}\n"));
            }
            say::print(columns(["NAME", "OF", "SIGNED", "URL", "ID"], all.iter().map(row).collect()))
        }
        WebhookCommand::Delete { id, connection } => {
            let operator = Access::of(connection)?.operator();
            block_on(async { operator.delete_webhook(id).await.map_err(failed) })?;
            say::note(format_args!("the webhook {} is deleted", shown(id)));
            Ok(())
        }
    }
}

async fn scope(operator: &Operator, project: &str) -> Result<Scope, Failure> {
    let id = operator.project_id(project).await.map_err(failed)?;
    Scope::of_project(&id).or_machinery(format!("the control plane's id of {project}"))
}

async fn create(
    operator: Operator,
    options: &NewWebhookOptions,
    signing_secret: Option<String>,
) -> Result<(), Failure> {
    let new = NewWebhook {
        name: options.name.clone(),
        events: options.events.iter().map(|event| Event::from(*event)).collect(),
        url: options.url.clone(),
        verify_tls: !options.no_verify_tls,
        signing_secret,
        scope: scope(&operator, &options.project).await?,
    };
    let made = operator.create_webhook(&new).await.map_err(failed)?;
    say::note(format_args!("{} is told of {}{}", shown(&made.name), events(&made), signed(&made)));
    say::print(format_args!("{}\n", made.id))
}

async fn list(operator: Operator, project: &str) -> Result<Vec<Webhook>, Failure> {
    let scope = scope(&operator, project).await?;
    operator.webhooks(&scope.id.to_string()).await.map_err(failed)
}

fn events(webhook: &Webhook) -> String {
    webhook.events.iter().map(|event| event.name()).collect::<Vec<_>>().join(", ")
}

fn signed(webhook: &Webhook) -> &'static str {
    if webhook.signing_secret.is_empty() { "; nothing is signed" } else { "" }
}

fn row(webhook: &Webhook) -> [String; 5] {
    let signed = if webhook.signing_secret.is_empty() { "no" } else { "yes" }.to_owned();
    let url = if webhook.verify_tls { "" } else { " (not verified)" };
    let url = format!("{}{url}", shown(&webhook.url));
    [shown(&webhook.name), events(webhook), signed, url, webhook.id.to_string()]
}
