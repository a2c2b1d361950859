//! The first page: the newest pipelines.

use super::{
    response::{NoPage, Sheet, page as html},
    session::Visitor,
    words::ago,
};
use crate::{
    api::may::Stated,
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{PipelineId, WorkflowStatus, api::GitValues};
use store::{PipelineRow, WorkflowRow};

/// How many are shown.
const NEWEST: u32 = 100;

#[derive(Template)]
#[template(path = "pipelines.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    pipelines: Vec<Line>,
}

struct Line {
    id: PipelineId,
    project: String,
    number: u64,
    workflows: Vec<Workflow>,
    source: String,
    created: String,
    ago: String,
}

struct Workflow {
    name: String,
    status: WorkflowStatus,
}

/// `GET /`.
pub(crate) async fn page(
    visitor: Visitor<Stated>,
    request: HttpRequest,
    plane: web::Data<Plane>,
) -> Result<HttpResponse, NoPage> {
    let sheet = &Sheet::of(&request);
    let rows =
        plane.store.newest_pipelines(NEWEST, visitor.who.sees_within()).await.map_err(Refusal::from)?;
    let pipelines = rows.into_iter().map(|row| line(row, sheet.now)).collect();
    Ok(html(StatusCode::OK, sheet, &Page { sheet, pipelines }))
}

fn line((project, row, workflows): (String, PipelineRow, Vec<WorkflowRow>), now: i64) -> Line {
    let repeated: Vec<_> = workflows.iter().filter_map(|row| row.reruns.of).collect();
    let is_last = |row: &WorkflowRow| !repeated.contains(&row.id);
    let workflow = |row: WorkflowRow| Workflow { name: row.name, status: row.status };
    Line {
        id: row.id,
        project,
        number: row.number,
        workflows: workflows.into_iter().filter(is_last).map(workflow).collect(),
        source: source(&row.git),
        created: rfc3339(row.created_ms),
        ago: ago(row.created_ms, now),
    }
}

/// Branch or tag and the short commit, as far as known.
pub(crate) fn source(git: &GitValues) -> String {
    let name = git.branch.as_deref().or(git.tag.as_deref());
    let revision = git.revision.as_deref().map(|revision| revision.get(..9).unwrap_or(revision));
    [name, revision].into_iter().flatten().collect::<Vec<_>>().join(" @ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_as_far_as_it_is_known() {
        let mut git = GitValues { revision: Some("0123456789abcdef".into()), ..GitValues::default() };
        assert_eq!(source(&git), "012345678");
        git.branch = Some("main".into());
        assert_eq!(source(&git), "main @ 012345678");
        assert_eq!(source(&GitValues::default()), "");
    }
}
