//! Projects and organizations by their ids, which are made of their names: an index in memory, which grows as projects are
//! made and is never read anew.

use super::{Plane, projects::stable_id};
use crate::refusal::Refusal;
use protocol::people::{EVERYWHERE, organization};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use store::{ProjectId, StoreError};
use uuid::Uuid;

/// So many projects are read at once.
const AT_ONCE: u32 = 10_000;

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    /// The youngest project that is in it.
    last: Option<ProjectId>,
    projects: HashMap<Uuid, String>,
    organizations: HashMap<Uuid, String>,
}

impl Index {
    fn add(&mut self, (id, name): (ProjectId, String)) {
        let organization = organization(&name).to_owned();
        self.organizations.insert(stable_id(&organization), organization);
        self.projects.insert(stable_id(&name), name);
        // Two may have read at once.
        self.last = self.last.filter(|last| last.0 >= id.0).or(Some(id));
    }
}

impl Plane {
    /// The project of an id.
    pub(crate) async fn project_of_id(&self, id: Uuid) -> Result<Option<String>, Refusal> {
        Ok(self.looked_up(|index| index.projects.get(&id).cloned()).await?)
    }

    /// The organization of an id: of a project, of contexts, or one in which somebody has a role.
    pub(crate) async fn organization_of_id(&self, id: Uuid) -> Result<Option<String>, Refusal> {
        let of_projects = self.looked_up(|index| index.organizations.get(&id).cloned()).await?;
        Ok(of_projects.or_else(|| self.organization_without_projects(id)))
    }

    fn organization_without_projects(&self, id: Uuid) -> Option<String> {
        let is_it = |name: &String| name != EVERYWHERE && stable_id(name) == id;
        let of_contexts = self.contexts.organizations().into_iter().find(is_it);
        of_contexts.or_else(|| {
            let people = self.access.people();
            people.iter().flat_map(|somebody| somebody.roles.keys()).find(|name| is_it(name)).cloned()
        })
    }

    /// What the index has, once the projects are in it that were made meanwhile.
    async fn looked_up(&self, find: impl Fn(&Index) -> Option<String>) -> Result<Option<String>, StoreError> {
        loop {
            let last = {
                let index = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(found) = find(&index) {
                    return Ok(Some(found));
                }
                index.last
            };
            let younger = self.store.projects_behind(last, AT_ONCE).await?;
            if younger.is_empty() {
                return Ok(None);
            }
            let mut index = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
            younger.into_iter().for_each(|project| index.add(project));
        }
    }
}
