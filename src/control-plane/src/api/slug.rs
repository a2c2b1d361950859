//! What people call a project: `host/organization/repository`, its host also as CircleCI calls it.

use crate::{
    plane::{
        Plane,
        projects::{HOSTS, stable_id},
    },
    refusal::Refusal,
};
pub(super) use protocol::people::organization;
use uuid::Uuid;

/// A name as it was given, and then with each other name of its host.
fn names(asked: &str) -> impl Iterator<Item = String> {
    let (host, rest) = asked.split_once('/').unwrap_or(("", asked));
    let same = HOSTS.iter().find(|names| names.contains(&host)).into_iter().flatten();
    let others = same.filter(move |name| **name != host).map(move |name| format!("{name}/{rest}"));
    std::iter::once(asked.to_owned()).chain(others)
}

/// The own name of the project that is asked for, if there is one.
pub(super) async fn known(plane: &Plane, asked: &str) -> Result<Option<String>, Refusal> {
    for name in names(asked) {
        if plane.store.has_project(&name).await? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The own name of the project that is asked for.
pub(super) async fn project(plane: &Plane, asked: &str) -> Result<String, Refusal> {
    let missing = || Refusal::Missing(format!("there is no project {asked}"));
    known(plane, asked).await?.ok_or_else(missing)
}

/// The own name of the project of this id.
pub(super) async fn project_of_id(plane: &Plane, id: Uuid) -> Result<String, Refusal> {
    let missing = || Refusal::Missing(format!("there is no project {id}"));
    plane.project_of_id(id).await?.ok_or_else(missing)
}

/// The same of an organization.
pub(super) async fn organization_of_id(plane: &Plane, id: Uuid) -> Result<String, Refusal> {
    let missing = || Refusal::Missing(format!("there is no organization {id}"));
    plane.organization_of_id(id).await?.ok_or_else(missing)
}

/// The own name of the organization that is asked for, if anything is known of it.
pub(super) async fn known_organization(plane: &Plane, asked: &str) -> Result<Option<String>, Refusal> {
    for name in names(asked) {
        if plane.organization_of_id(stable_id(&name)).await?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What the own names of an organization's projects begin with.
pub(super) async fn projects_of(plane: &Plane, asked: &str) -> Result<String, Refusal> {
    for name in names(asked) {
        let begin = format!("{name}/");
        if !plane.store.projects(&begin, 1).await?.is_empty() {
            return Ok(begin);
        }
    }
    Err(Refusal::Missing(format!("no project of the organization {asked} is known")))
}

/// Its last part.
pub(super) fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_looked_for_by_every_name_of_its_host() {
        for (asked, wanted) in [
            ("gh/acme/app", &["gh/acme/app", "github/acme/app", "github.com/acme/app"][..]),
            ("gitlab.com/a/b/c", &["gitlab.com/a/b/c", "gl/a/b/c", "gitlab/a/b/c"]),
            ("git.acme.example/acme/app", &["git.acme.example/acme/app"]),
            ("app", &["app"]),
        ] {
            assert_eq!(names(asked).collect::<Vec<_>>(), wanted);
        }
    }
}
