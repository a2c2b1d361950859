//! People of a control plane and their roles: made known, listed, changed, forgotten; and what they did.

use crate::{
    arguments::{Audit, IdentityOf, UserCommand},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    resources::columns,
    say, tokens,
};
use client::{Operator, Whose};
use protocol::people::{Identity, Member, NewApiToken, NewIdentity, NewPerson, Role};

/// `roundhouse user`.
pub(crate) fn users(command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Create { login, name, role, organization, email, connection } => {
            let new = NewPerson { login: login.clone(), name: name.clone() };
            let role = organization.clone().zip(role.map(Role::from));
            block_on(create(Access::of(connection)?.operator(), new, role, email.as_deref()))
        }
        UserCommand::List { organization, connection } => {
            block_on(list(Access::of(connection)?.operator(), organization.as_deref()))
        }
        UserCommand::Role { login, role, organization, connection } => {
            block_on(give(Access::of(connection)?.operator(), login, role.role(), organization))
        }
        UserCommand::Identity { login, who, connection } => {
            block_on(identity(Access::of(connection)?.operator(), login, who))
        }
        UserCommand::Account { login, account, remove, connection } => {
            block_on(set_account(Access::of(connection)?.operator(), login, account, *remove))
        }
        UserCommand::Delete { login, connection } => {
            let operator = Access::of(connection)?.operator();
            block_on(async { operator.delete_person(login).await.map_err(failed) })?;
            say::note(format_args!("{login} is known no more, and none of their tokens is good"));
            Ok(())
        }
    }
}

async fn create(
    operator: Operator,
    new: NewPerson,
    role: Option<(String, Role)>,
    email: Option<&str>,
) -> Result<(), Failure> {
    let made = operator.create_person(&new).await.map_err(failed)?;
    say::note(format_args!("{} is known", made.login));
    if let Some((organization, role)) = role {
        give(operator.clone(), &made.login, Some(role), &organization).await?;
    }
    if let Some(email) = email {
        return link(&operator, &made.login, Some(email), None).await;
    }
    let first = NewApiToken { name: "first".to_owned(), scope: None };
    let token = operator.create_api_token(Whose::Person(&made.login), &first).await.map_err(failed)?;
    tokens::shown(token, "hand it to them, for the page and as ROUNDHOUSE_TOKEN")
}

async fn identity(operator: Operator, login: &str, who: &IdentityOf) -> Result<(), Failure> {
    if who.none {
        operator.remove_identity(login).await.map_err(failed)?;
        say::note(format_args!("{login} comes by their tokens alone"));
        return Ok(());
    }
    link(&operator, login, who.email.as_deref(), who.subject.as_deref()).await
}

async fn link(
    operator: &Operator,
    login: &str,
    email: Option<&str>,
    subject: Option<&str>,
) -> Result<(), Failure> {
    let new = NewIdentity { email: email.map(str::to_owned), subject: subject.map(str::to_owned) };
    let person = operator.set_identity(login, &new).await.map_err(failed)?;
    let issuer = person.identity.map(|identity| identity.issuer).unwrap_or_default();
    match (email, subject) {
        (Some(email), _) => {
            say::note(format_args!("whoever comes first from {issuer} as {email} is {login}"));
        }
        (None, subject) => {
            say::note(format_args!("{} of {issuer} is {login}", subject.unwrap_or_default()));
        }
    }
    Ok(())
}

async fn set_account(
    operator: Operator,
    login: &str,
    account: &str,
    is_removed: bool,
) -> Result<(), Failure> {
    if is_removed {
        operator.remove_account(login, account).await.map_err(failed)?;
        say::note(format_args!("{account} is nobody's any more"));
        return Ok(());
    }
    operator.set_account(login, account).await.map_err(failed)?;
    say::note(format_args!("what {account} pushes is {login}'s"));
    Ok(())
}

/// How it stands with somebody at the provider.
fn told(identity: Identity) -> String {
    match (identity.subject, identity.email) {
        (Some(subject), Some(email)) => format!("{subject} ({email})"),
        (Some(subject), None) => subject,
        (None, email) => format!("{}, who has not come yet", email.unwrap_or_default()),
    }
}

async fn give(
    operator: Operator,
    login: &str,
    role: Option<Role>,
    organization: &str,
) -> Result<(), Failure> {
    let Some(role) = role else {
        operator.take_role(organization, login).await.map_err(failed)?;
        say::note(format_args!("{login} has no role in {organization} any more"));
        return Ok(());
    };
    let member = Member { login: login.to_owned(), organization: organization.to_owned(), role };
    let given = operator.give_role(&member).await.map_err(failed)?;
    say::note(format_args!("{login} is a {} of {}", given.role.name(), given.organization));
    Ok(())
}

async fn list(operator: Operator, organization: Option<&str>) -> Result<(), Failure> {
    let Some(organization) = organization else {
        let people = operator.people().await.map_err(failed)?;
        let rows = people.into_iter().map(|one| {
            let roles = one.roles.iter().map(|role| format!("{} of {}", role.role.name(), role.organization));
            let roles = roles.collect::<Vec<_>>().join(", ");
            let identity = one.identity.map(told).unwrap_or_default();
            [one.login, one.name, roles, identity, one.accounts.join(", ")]
        });
        return say::print(columns(["LOGIN", "NAME", "ROLES", "SIGNS IN AS", "PUSHES AS"], rows.collect()));
    };
    let members = operator.members(organization).await.map_err(failed)?;
    let rows = members.into_iter().map(|one| [one.login, one.role.name().to_owned()]);
    say::print(columns(["LOGIN", "ROLE"], rows.collect()))
}

/// `roundhouse audit`: the newest line last, as logs are read.
pub(crate) fn audit(options: &Audit) -> Result<(), Failure> {
    let operator = Access::of(&options.connection)?.operator();
    let asked =
        async { operator.audit(options.organization.as_deref(), options.limit).await.map_err(failed) };
    let mut lines = block_on(asked)?;
    lines.reverse();
    if options.json {
        return lines.iter().try_for_each(|line| {
            let text = serde_json::to_string(line).or_machinery("cannot write a line as JSON")?;
            say::print(format_args!("{text}\n"))
        });
    }
    let rows = lines.into_iter().map(|one| [one.at, one.actor, one.action, one.organization, one.subject]);
    say::print(columns(["WHEN", "WHO", "WHAT", "WHERE", "TO WHAT"], rows.collect()))
}
