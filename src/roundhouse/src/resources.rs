//! Resource classes: made, listed, deleted.

use crate::{
    arguments::ResourceClassCommand,
    connect::{Access, block_on, failed},
    failure::Failure,
    say,
    tokens::create_token,
};
use client::Operator;
use protocol::{ResourceClass, api::Resource};

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
    let wanted = Resource { id: None, resource_class: class.clone(), description: description.to_owned() };
    let made = operator.create_resource(&wanted).await.map_err(failed)?;
    say::note(format_args!("made {}", made.resource_class));
    if with_token { create_token(operator, class, "default").await } else { Ok(()) }
}

async fn list_classes(operator: Operator, namespace: &str) -> Result<(), Failure> {
    let classes = operator.resources(namespace).await.map_err(failed)?;
    let rows = classes.into_iter().map(|one| [one.resource_class.to_string(), one.description]);
    say::print(columns(["RESOURCE CLASS", "DESCRIPTION"], rows.collect()))
}

async fn delete_class(operator: Operator, class: &ResourceClass, force: bool) -> Result<(), Failure> {
    let all = operator.resources(class.namespace()).await.map_err(failed)?;
    let found = all.into_iter().find(|one| one.resource_class == *class).and_then(|one| one.id);
    let id = found.ok_or_else(|| Failure::usage(format!("there is no resource class {class}")))?;
    operator.delete_resource(&id, force).await.map_err(failed)?;
    say::note(format_args!("deleted {class}"));
    Ok(())
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
