//! Projects: their keys, and the numbers that their next pipeline and job get.

use super::{Plane, people::Who};
use crate::{audit::Deed, refusal::Refusal};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};
use store::{ProjectId, Store, StoreError, Write};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The names of one host each: whoever knows a project by one finds it by the others.
pub(crate) const HOSTS: [[&str; 3]; 3] =
    [["gh", "github", "github.com"], ["bb", "bitbucket", "bitbucket.org"], ["gl", "gitlab", "gitlab.com"]];

/// The projects in use.
#[derive(Debug, Default)]
pub(crate) struct Projects {
    known: std::sync::Mutex<HashMap<String, Arc<Project>>>,
}

/// A project. Whoever holds the lock on its numbers is the only one to give them out; the lock goes with the write to
/// the store's writer, so a caller that gives up in between leaves no number to be given out twice.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) id: ProjectId,
    pub(crate) numbers: Arc<Mutex<Numbers>>,
}

/// The right to give out a project's numbers.
pub(crate) type Giver = OwnedMutexGuard<Numbers>;

/// The numbers that the next ones get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) pipeline: u64,
    pub(crate) job: u64,
}

impl Projects {
    /// A project, made if it is not there.
    pub(crate) async fn get(&self, store: &Store, name: &str) -> Result<Arc<Project>, StoreError> {
        if let Some(project) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(project.clone());
        }
        store.write(None, vec![Write::Project(name.to_owned())]).await?;
        let unreadable = || StoreError::Conflict("a project that was made is not there".into());
        let (id, pipeline, job) = store.project(name).await?.ok_or_else(unreadable)?;
        let project = Project { id, numbers: Arc::new(Mutex::new(Numbers { pipeline, job })) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.entry(name.to_owned()).or_insert_with(|| Arc::new(project)).clone())
    }
}

/// The longest name of a project that is made before anything runs of it.
const LONGEST: usize = 100;

impl Plane {
    /// Makes a project known of which nothing has run yet.
    pub(crate) async fn make_project(&self, by: &Who, organization: &str, name: &str) -> Result<(), Refusal> {
        let fits = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > LONGEST || name.starts_with('.') || !name.chars().all(fits) {
            let message = format!("a project's name wants 1 to {LONGEST} letters, digits, `-`, `_` and `.`");
            return Err(Refusal::Bad(message));
        }
        if organization.split('/').any(str::is_empty) {
            let message = format!("`{organization}` is no organization: write host/organization");
            return Err(Refusal::Bad(message));
        }
        let project = format!("{organization}/{name}");
        // Also where somebody else makes it at the same time.
        if self.store.write(None, vec![Write::NewProject(project.clone())]).await? == [0] {
            return Err(Refusal::Conflict(format!("there is a project {project} already")));
        }
        self.tell_of_project(by, Deed::ProjectMade, (&project, "")).await
    }
}

/// A stable id made of a name, for variables that want one.
pub(crate) fn stable_id(name: &str) -> uuid::Uuid {
    let [bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = super::token::hash(name);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
