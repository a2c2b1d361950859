//! Tokens of resource classes, people and projects: made, listed, deleted.

use crate::{
    arguments::{TokenCommand, TokenOf},
    connect::{Access, block_on, failed},
    failure::Failure,
    resources::columns,
    say,
};
use client::{Operator, Whose};
use protocol::{
    ResourceClass,
    api::Token,
    people::{ApiToken, NewApiToken},
};

/// `roundhouse token`.
pub(crate) fn token(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { whose, nickname, name, scope, connection } => {
            let operator = Access::of(connection)?.operator();
            let new = NewApiToken { name: name.clone(), scope: scope.map(Into::into) };
            match of(whose) {
                Of::Class(class) => block_on(create_token(operator, class, nickname)),
                Of::Caller(whose) => block_on(create(operator, whose, new)),
            }
        }
        TokenCommand::List { whose, connection } => {
            let operator = Access::of(connection)?.operator();
            match of(whose) {
                Of::Class(class) => block_on(list_tokens(operator, class)),
                Of::Caller(whose) => block_on(list(operator, whose)),
            }
        }
        TokenCommand::Delete { id, user, project, connection } => {
            let operator = Access::of(connection)?.operator();
            block_on(delete(operator, id, (user.as_deref(), project.as_deref())))?;
            say::note(format_args!("deleted {id}"));
            Ok(())
        }
    }
}

/// Whose tokens are meant.
enum Of<'o> {
    Class(&'o ResourceClass),
    Caller(Whose<'o>),
}

fn of(whose: &TokenOf) -> Of<'_> {
    match (&whose.resource_class, &whose.user, &whose.project) {
        (Some(class), ..) => Of::Class(class),
        (None, Some(login), _) => Of::Caller(Whose::Person(login)),
        (None, None, project) => Of::Caller(Whose::Project(project.as_deref().unwrap_or_default())),
    }
}

async fn create(operator: Operator, whose: Whose<'_>, new: NewApiToken) -> Result<(), Failure> {
    let made = operator.create_api_token(whose, &new).await.map_err(failed)?;
    shown(made, "give it to programs as ROUNDHOUSE_TOKEN")
}

/// The secret alone goes to standard output, so that a script can keep it.
pub(crate) fn shown(made: ApiToken, what: &str) -> Result<(), Failure> {
    let secret =
        made.token.ok_or_else(|| Failure::machinery("the control plane made a token and did not tell it"))?;
    say::note(format_args!("the token `{}`, shown this once; {what}:", made.name));
    say::print(format_args!("{secret}\n"))
}

async fn list(operator: Operator, whose: Whose<'_>) -> Result<(), Failure> {
    let tokens = operator.api_tokens(whose).await.map_err(failed)?;
    let rows = tokens.into_iter().map(|one| {
        let scope = one.scope.map_or("", |scope| scope.name()).to_owned();
        let used = one.used_at.unwrap_or_else(|| "never".to_owned());
        [one.id, one.name, format!("{}…", one.prefix), scope, one.created_at, used]
    });
    say::print(columns(["ID", "NAME", "BEGINS", "SCOPE", "CREATED", "USED"], rows.collect()))
}

async fn delete(operator: Operator, id: &str, whose: (Option<&str>, Option<&str>)) -> Result<(), Failure> {
    let done = match whose {
        (Some(login), _) => operator.delete_api_token(Whose::Person(login), id).await,
        (None, Some(project)) => operator.delete_api_token(Whose::Project(project), id).await,
        (None, None) => operator.delete_token(id).await,
    };
    done.map_err(failed)
}

/// The secret alone goes to standard output, so that a script can keep it.
pub(crate) async fn create_token(
    operator: Operator,
    class: &ResourceClass,
    nickname: &str,
) -> Result<(), Failure> {
    let token = Token {
        id: None,
        resource_class: class.clone(),
        nickname: nickname.to_owned(),
        token: None,
        created_at: None,
    };
    let made = operator.create_token(&token).await.map_err(failed)?;
    let secret =
        made.token.ok_or_else(|| Failure::machinery("the control plane made a token and did not tell it"))?;
    say::note(format_args!(
        "a token of {class}, shown this once; give it to a launch-agent as api.auth_token:"
    ));
    say::print(format_args!("{secret}\n"))
}

async fn list_tokens(operator: Operator, class: &ResourceClass) -> Result<(), Failure> {
    let tokens = operator.tokens(class).await.map_err(failed)?;
    let rows = tokens
        .into_iter()
        .map(|one| [one.id.unwrap_or_default(), one.nickname, one.created_at.unwrap_or_default()]);
    say::print(columns(["ID", "NICKNAME", "CREATED"], rows.collect()))
}
