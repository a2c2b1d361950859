//! What administrators say of the queue: whose tasks go first, and how many may run at once.

use crate::{ProjectId, Store, StoreError, batch::Batch, columns::bytes};
use protocol::queue::ProjectRules;
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

pub(crate) fn set_rules(batch: &mut Batch, project: ProjectId, rules: ProjectRules) {
    const SQL: &str = "INSERT OR REPLACE INTO project_rules (project, priority, max_tasks, cancels_redundant) \
                       VALUES (?, ?, ?, ?)";
    let query = batch.statement(SQL).bind(project.0).bind(i64::from(rules.priority));
    query.bind(rules.max_tasks.map(i64::from)).bind(rules.cancel_redundant);
}

pub(crate) fn limit_class(batch: &mut Batch, id: Uuid, max_tasks: Option<u32>) {
    let query = batch.statement("UPDATE resource_classes SET max_tasks = ? WHERE id = ?");
    query.bind(max_tasks.map(i64::from)).bind(bytes(&id));
}

impl Store {
    /// What was said of projects; of all others nothing was.
    pub async fn project_rules(&self) -> Result<Vec<(ProjectId, ProjectRules)>, StoreError> {
        let query = sqlx::query("SELECT project, priority, max_tasks, cancels_redundant FROM project_rules");
        let rows = query.fetch_all(&self.readers).await?;
        let read = |row: &SqliteRow| {
            let rules = ProjectRules {
                priority: row.try_get("priority")?,
                max_tasks: row.try_get("max_tasks")?,
                cancel_redundant: row.try_get("cancels_redundant")?,
            };
            Ok((ProjectId(row.try_get("project")?), rules))
        };
        rows.iter().map(read).collect()
    }
}
