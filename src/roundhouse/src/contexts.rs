//! Contexts of a control plane's organizations and variables of its projects: made, filled, restricted, taken away.

use crate::{
    arguments::{ContextCommand, EnvCommand, RestrictTo, Which},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    resources::columns,
    say,
};
use client::Operator;
use protocol::{
    contexts::{Context, LONGEST_VALUE, NewRestriction, ProjectVariable},
    people::Role,
};
use std::io::Read;

/// `roundhouse context`.
pub(crate) fn contexts(command: &ContextCommand) -> Result<(), Failure> {
    match command {
        ContextCommand::List { organization, connection } => {
            block_on(list(Access::of(connection)?.operator(), organization))
        }
        ContextCommand::Create { which } => block_on(create(operator(which)?, which)),
        ContextCommand::Show { which } => block_on(show(operator(which)?, which)),
        ContextCommand::Delete { which } => block_on(delete(operator(which)?, which)),
        ContextCommand::StoreSecret { which, variable } => {
            let value = value()?;
            block_on(store(operator(which)?, which, variable, &value))
        }
        ContextCommand::RemoveSecret { which, variable } => {
            block_on(remove(operator(which)?, which, variable))
        }
        ContextCommand::Restrict { which, to } => block_on(restrict(operator(which)?, which, to)),
        ContextCommand::Unrestrict { which, restriction } => {
            block_on(unrestrict(operator(which)?, which, restriction))
        }
    }
}

fn operator(which: &Which) -> Result<Operator, Failure> {
    Ok(Access::of(&which.connection)?.operator())
}

/// From standard input, so that it stands in no list of processes and in no history; without the end of its line.
fn value() -> Result<String, Failure> {
    let mut text = String::new();
    let most = LONGEST_VALUE as u64 + 2;
    std::io::stdin().lock().take(most).read_to_string(&mut text).or_usage("cannot read the value")?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(value.strip_suffix('\r').unwrap_or(value).to_owned())
}

async fn found(operator: &Operator, which: &Which) -> Result<Context, Failure> {
    let Which { organization, context, .. } = which;
    let all = operator.contexts(organization).await.map_err(failed)?;
    let found = all.into_iter().find(|one| one.name == *context);
    found.ok_or_else(|| Failure::usage(format!("{organization} has no context `{context}`")))
}

async fn list(operator: Operator, organization: &str) -> Result<(), Failure> {
    let all = operator.contexts(organization).await.map_err(failed)?;
    let rows = all.into_iter().map(|one| [one.name, one.id, one.created_at]);
    say::print(columns(["CONTEXT", "ID", "CREATED"], rows.collect()))
}

async fn create(operator: Operator, which: &Which) -> Result<(), Failure> {
    let made = operator.create_context(&which.organization, &which.context).await.map_err(failed)?;
    say::note(format_args!("made the context `{}` of {}", made.name, which.organization));
    Ok(())
}

async fn show(operator: Operator, which: &Which) -> Result<(), Failure> {
    let context = found(&operator, which).await?;
    let variables = operator.context_variables(&context.id).await.map_err(failed)?;
    let rows = variables.into_iter().map(|one| [one.variable, one.created_at, one.updated_at]);
    say::print(columns(["VARIABLE", "CREATED", "UPDATED"], rows.collect()))?;
    let restrictions = operator.restrictions(&context.id).await.map_err(failed)?;
    if restrictions.is_empty() {
        return say::print("\nEvery job of the organization may use it.\n");
    }
    let rows = restrictions.into_iter().map(|one| {
        let to = one.name.unwrap_or(one.restriction_value);
        [one.restriction_type.name().to_owned(), to, one.id]
    });
    say::print(format_args!("\n{}", columns(["ONLY FOR", "", "ID"], rows.collect())))
}

async fn delete(operator: Operator, which: &Which) -> Result<(), Failure> {
    let context = found(&operator, which).await?;
    operator.delete_context(&context.id).await.map_err(failed)?;
    say::note(format_args!("deleted the context `{}` of {}", context.name, which.organization));
    Ok(())
}

async fn store(operator: Operator, which: &Which, variable: &str, value: &str) -> Result<(), Failure> {
    let context = found(&operator, which).await?;
    operator.set_context_variable(&context.id, variable, value).await.map_err(failed)?;
    say::note(format_args!("{variable} of the context `{}` has a new value", context.name));
    Ok(())
}

async fn remove(operator: Operator, which: &Which, variable: &str) -> Result<(), Failure> {
    let context = found(&operator, which).await?;
    operator.remove_context_variable(&context.id, variable).await.map_err(failed)?;
    say::note(format_args!("the context `{}` has no {variable} any more", context.name));
    Ok(())
}

async fn restrict(operator: Operator, which: &Which, to: &RestrictTo) -> Result<(), Failure> {
    let context = found(&operator, which).await?;
    let RestrictTo { project, expression, group, role } = to;
    let role = role.map(|role| Role::from(role).name().to_owned());
    let (kind, value) = match project {
        Some(project) => ("project", Some(operator.project_id(project).await.map_err(failed)?)),
        None if expression.is_some() => ("expression", expression.clone()),
        None if group.is_some() => ("group", group.clone()),
        None => ("role", role),
    };
    let value = value.unwrap_or_default();
    let new = NewRestriction { restriction_type: kind.to_owned(), restriction_value: value };
    let made = operator.restrict(&context.id, &new).await.map_err(failed)?;
    say::note(format_args!("restricted the context `{}`: {}", context.name, made.id));
    Ok(())
}

async fn unrestrict(operator: Operator, which: &Which, restriction: &str) -> Result<(), Failure> {
    let context = found(&operator, which).await?;
    operator.unrestrict(&context.id, restriction).await.map_err(failed)?;
    say::note(format_args!("took the restriction {restriction} of `{}` away", context.name));
    Ok(())
}

/// `roundhouse project env`.
pub(crate) fn project_env(command: &EnvCommand) -> Result<(), Failure> {
    match command {
        EnvCommand::List { project, connection } => {
            block_on(list_variables(Access::of(connection)?.operator(), project))
        }
        EnvCommand::Set { project, variable, connection } => {
            let new = ProjectVariable { name: variable.clone(), value: value()? };
            let operator = Access::of(connection)?.operator();
            block_on(async { operator.set_project_variable(project, &new).await.map_err(failed) })?;
            say::note(format_args!("{variable} of {project} has a new value"));
            Ok(())
        }
        EnvCommand::Delete { project, variable, connection } => {
            let operator = Access::of(connection)?.operator();
            block_on(async { operator.remove_project_variable(project, variable).await.map_err(failed) })?;
            say::note(format_args!("{project} has no {variable} any more"));
            Ok(())
        }
    }
}

async fn list_variables(operator: Operator, project: &str) -> Result<(), Failure> {
    let all = operator.project_variables(project).await.map_err(failed)?;
    let rows = all.into_iter().map(|one| [one.name, one.value]);
    say::print(columns(["VARIABLE", "VALUE"], rows.collect()))
}
