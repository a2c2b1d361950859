//! What people call a project: `host/organization/repository`, its host also as CircleCI calls it.

use crate::{
    plane::{
        Plane,
        people::canonical,
        projects::{HOSTS, stable_id},
    },
    refusal::Refusal,
};
use protocol::people::EVERYWHERE;
pub(super) use protocol::people::organization;
use std::collections::BTreeSet;
use uuid::Uuid;

/// So many projects are looked at for the name of one's organization.
const PROJECTS: u32 = 10_000;

/// A name as it was given, and then with each other name of its host.
fn names(asked: &str) -> impl Iterator<Item = String> {
    let (host, rest) = asked.split_once('/').unwrap_or(("", asked));
    let same = HOSTS.iter().find(|names| names.contains(&host)).into_iter().flatten();
    let others = same.filter(move |name| **name != host).map(move |name| format!("{name}/{rest}"));
    std::iter::once(asked.to_owned()).chain(others)
}

/// The own name of the project that is asked for.
pub(super) async fn project(plane: &Plane, asked: &str) -> Result<String, Refusal> {
    for name in names(asked) {
        if plane.store.has_project(&name).await? {
            return Ok(name);
        }
    }
    Err(Refusal::Missing(format!("there is no project {asked}")))
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

/// The organization of an id, among all that something is known of: it has projects, people, contexts or policies.
pub(super) async fn organization_of_id(plane: &Plane, id: Uuid) -> Result<Option<String>, Refusal> {
    let projects = plane.store.projects("", PROJECTS).await?;
    let mut known: BTreeSet<String> = projects.iter().map(|name| organization(name).to_owned()).collect();
    known.extend(plane.contexts.organizations());
    known.extend(plane.store.organizations_with_policies().await?);
    known.extend(plane.access.people().iter().flat_map(|somebody| somebody.roles.keys().cloned()));
    let found = known.iter().find(|name| *name != EVERYWHERE && stable_id(name) == id);
    Ok(found.map(|name| canonical(name)))
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
