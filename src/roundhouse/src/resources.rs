//! Resource classes: made, listed, deleted.

use crate::{
    arguments::ResourceClassCommand,
    connect::{Access, block_on, failed},
    failure::Failure,
    say,
    tokens::create_token,
};
use client::Operator;
use protocol::{ResourceClass, api::Resource, queue::ClassLimit};

/// `roundhouse resource-class`.
pub(crate) fn resource_class(command: &ResourceClassCommand) -> Result<(), Failure> {
    match command {
        ResourceClassCommand::Create { resource_class, description, generate_token, connection } => {
            let access = Access::of(connection)?;
            block_on(create_class(access.operator(), resource_class, description, *generate_token))
        }
        ResourceClassCommand::List { namespace, connection } => {
            let access = Access::of(connection)?;
            block_on(list_classes(access.operator(), namespace))
        }
        ResourceClassCommand::Limit { resource_class, max_tasks, connection } => {
            let access = Access::of(connection)?;
            block_on(limit_class(access.operator(), resource_class, max_tasks.0))
        }
        ResourceClassCommand::Delete { resource_class, force, connection } => {
            let access = Access::of(connection)?;
            block_on(delete_class(access.operator(), resource_class, *force))
        }
    }
}

async fn create_class(
    operator: Operator,
    class: &ResourceClass,
    description: &str,
    with_token: bool,
) -> Result<(), Failure> {
    let wanted = Resource {
        id: None,
        resource_class: class.clone(),
        description: description.to_owned(),
        max_tasks: None,
    };
    let made = operator.create_resource(&wanted).await.map_err(failed)?;
    say::note(format_args!("made {}", made.resource_class));
    if with_token { create_token(operator, class, "default").await } else { Ok(()) }
}

async fn list_classes(operator: Operator, namespace: &str) -> Result<(), Failure> {
    let classes = operator.resources(namespace).await.map_err(failed)?;
    let most = |one: &Resource| one.max_tasks.map_or_else(|| "-".to_owned(), |most| most.to_string());
    let rows = classes.into_iter().map(|one| [one.resource_class.to_string(), most(&one), one.description]);
    say::print(columns(["RESOURCE CLASS", "AT ONCE", "DESCRIPTION"], rows.collect()))
}

async fn limit_class(
    operator: Operator,
    class: &ResourceClass,
    max_tasks: Option<u32>,
) -> Result<(), Failure> {
    let id = id_of(&operator, class).await?;
    operator.limit_resource(&id, &ClassLimit { max_tasks }).await.map_err(failed)?;
    match max_tasks {
        Some(most) => say::note(format_args!("at most {most} tasks of {class} run at once")),
        None => say::note(format_args!("any number of tasks of {class} runs at once")),
    }
    Ok(())
}

async fn delete_class(operator: Operator, class: &ResourceClass, force: bool) -> Result<(), Failure> {
    let id = id_of(&operator, class).await?;
    operator.delete_resource(&id, force).await.map_err(failed)?;
    say::note(format_args!("deleted {class}"));
    Ok(())
}

async fn id_of(operator: &Operator, class: &ResourceClass) -> Result<String, Failure> {
    let all = operator.resources(class.namespace()).await.map_err(failed)?;
    let found = all.into_iter().find(|one| one.resource_class == *class).and_then(|one| one.id);
    found.ok_or_else(|| Failure::usage(format!("there is no resource class {class}")))
}

/// Columns as wide as their widest word; the last one is not padded.
pub(crate) fn columns<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let all: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width =
        |column: usize| all.iter().map(|row| console::measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - console::measure_text_width(cell))));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_word() {
        let rows =
            vec![["a/linux".to_owned(), String::new()], ["acme/linux-large".to_owned(), "big".to_owned()]];
        assert_eq!(
            columns(["CLASS", "FOR"], rows),
            "CLASS             FOR\na/linux\nacme/linux-large  big\n"
        );
    }
}
