//! Runs: one's own, those of projects that an expression fits, and one by its id.

use super::{
    filter::Filter,
    phases::{Phase, RunStatus, Verdict},
    shapes::{Author, Commit, Event, EventSource, Run, RunAttributes, RunError, RunReferences, Trigger, Vcs},
    users::user,
};
use crate::{
    api::{
        MAX_WORDS, json,
        may::{May, Stated, ThePipeline, View},
        paging::{after, place},
        project::without_password,
        v3::{Described, Entity, List, Reference, Thing, enveloped},
    },
    plane::{
        Plane,
        clock::{instant, rfc3339},
        people::Who,
        projects::stable_id,
    },
    refusal::Refusal,
};
use actix_web::{
    middleware::from_fn,
    web::{Data, Json, Path, Query, ServiceConfig, get, post, resource},
};
use protocol::{
    PipelineId,
    api::{CommitValues, GitValues},
    task::Source,
};
use serde::Deserialize;
use store::{PipelineRow, Sought, Standing};
use uuid::Uuid;

/// So many runs has one page, at most.
const PAGE: u32 = 20;
/// Where not all fit: so many are read at once, and so many are looked at for one page.
const PIECE: u32 = 250;
const LOOKED_AT: u32 = 4000;
/// So far back goes whoever does not say how far.
const BACK_MS: i64 = 90 * 86_400_000;
/// So many projects are searched at once.
const SEARCHED: usize = 100;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/runs").wrap(from_fn(enveloped)).route(get().to(mine)))
        .service(
            resource("/api/v3/runs/search")
                .wrap(from_fn(enveloped))
                .app_data(json(MAX_WORDS))
                .route(post().to(search)),
        )
        .service(resource("/api/v3/runs/{id}").wrap(from_fn(enveloped)).route(get().to(one)));
}

/// Which of the runs that whoever calls has had made are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mine {
    #[serde(rename = "filter[user_id]")]
    user: Option<String>,
    #[serde(rename = "filter[phase]")]
    phase: Option<Phase>,
    #[serde(rename = "filter[current_outcome]")]
    outcome: Option<Verdict>,
    #[serde(rename = "filter[from]")]
    from: Option<String>,
    #[serde(rename = "filter[to]")]
    to: Option<String>,
    #[serde(rename = "page[limit]")]
    limit: Option<u32>,
    #[serde(rename = "page[cursor]")]
    cursor: Option<String>,
}

/// What runs of projects are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    scope: Scope,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    order_by: String,
    #[serde(default)]
    page: SearchPage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    project_ids: Vec<Uuid>,
    from: Option<String>,
    to: Option<String>,
}

/// An empty cursor is that of the first page.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SearchPage {
    cursor: String,
    limit: Option<u32>,
}

/// What narrows a list beyond what the store looks for.
#[derive(Debug, Default)]
struct Narrowed {
    phase: Option<Phase>,
    outcome: Option<Verdict>,
    status: Option<String>,
}

impl Narrowed {
    fn is_open(&self) -> bool {
        self.phase.is_none() && self.outcome.is_none() && self.status.is_none()
    }

    fn fits(&self, run: &Standing) -> bool {
        let status = RunStatus::of(run.pipeline.state, &run.workflows);
        let stands = status.stands();
        self.phase.is_none_or(|phase| phase == stands.phase)
            && self.outcome.is_none_or(|outcome| Some(outcome) == stands.verdict)
            && self.status.as_deref().is_none_or(|word| word == status.word())
    }
}

async fn mine(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    asked: Query<Mine>,
) -> Result<Json<List<Run>>, Refusal> {
    let Mine { user, phase, outcome, from, to, limit, cursor } = asked.into_inner();
    if user.as_deref() != Some("me") {
        return Err(Refusal::Bad("say whose: `filter[user_id]=me`, and nobody else's are listed".to_owned()));
    }
    let mut sought = sought(&plane, [from, to], cursor.as_deref().unwrap_or_default())?;
    sought.within = caller.who.sees_within();
    sought.by = Some(caller.who.actor());
    let narrowed = Narrowed { phase, outcome, status: None };
    page(&plane, sought, &narrowed, most(limit)?).await.map(Json)
}

async fn search(
    caller: May<View, Stated>,
    plane: Data<Plane>,
    asked: Json<Search>,
) -> Result<Json<List<Run>>, Refusal> {
    let Search { scope, filter, order_by, page: wanted } = asked.into_inner();
    if !order_by.is_empty() {
        let message = format!("`order_by` is not offered: runs come the newest first, not by `{order_by}`");
        return Err(Refusal::Bad(message));
    }
    let Filter { branch, revision, status } =
        Filter::read(&filter).map_err(|why| Refusal::Bad(format!("`filter`: {why}")))?;
    let limit = most(wanted.limit)?;
    let mut sought = sought(&plane, [scope.from, scope.to], &wanted.cursor)?;
    sought.projects = Some(projects(&plane, &caller.who, &scope.project_ids).await?);
    (sought.branch, sought.revision) = (branch, revision);
    let narrowed = Narrowed { status, ..Narrowed::default() };
    page(&plane, sought, &narrowed, limit).await.map(Json)
}

async fn one(
    _: May<View, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<Json<Entity<Run>>, Refusal> {
    let found = plane.store.standing_pipeline(*id).await?;
    let run = found.ok_or_else(|| Refusal::Missing(format!("there is no pipeline {id}")))?;
    Ok(Json(Entity { data: shown(run) }))
}

/// The names of the projects of these ids; of one that the caller may not see as if it were not there.
async fn projects(plane: &Plane, who: &Who, ids: &[Uuid]) -> Result<Vec<String>, Refusal> {
    if !(1..=SEARCHED).contains(&ids.len()) {
        return Err(Refusal::Bad(format!("`scope.project_ids`: name 1 to {SEARCHED} projects")));
    }
    let mut names = Vec::with_capacity(ids.len());
    for id in ids {
        let seen = plane.project_of_id(*id).await?.filter(|name| who.sees(name));
        names.push(seen.ok_or_else(|| Refusal::Missing(format!("there is no project {id}")))?);
    }
    Ok(names)
}

fn most(limit: Option<u32>) -> Result<usize, Refusal> {
    let limit = limit.unwrap_or(PAGE);
    let is_one = (1..=PAGE).contains(&limit);
    is_one
        .then_some(limit as usize)
        .ok_or_else(|| Refusal::Bad(format!("a page has 1 to {PAGE} runs, not {limit}")))
}

/// Runs between two times, behind a cursor.
fn sought(plane: &Plane, [from, to]: [Option<String>; 2], cursor: &str) -> Result<Sought, Refusal> {
    let no_time = |text: &str| Refusal::Bad(format!("`{text}` is no time: write it as 2026-11-30T12:00:00Z"));
    let read = |text: String| instant(&text).map(|ms| (ms, text.contains('.'))).ok_or_else(|| no_time(&text));
    // A time that is said in whole seconds means all of its second: whoever asks until now gets what is there.
    let to_ms = match to.map(read).transpose()? {
        Some((ms, is_exact)) => ms + if is_exact { 0 } else { 999 },
        None => plane.clock.wall_ms(),
    };
    let from_ms = from.map(read).transpose()?.map_or(to_ms - BACK_MS, |(ms, _)| ms);
    let no_cursor = || Refusal::Bad("the cursor is none that an answer of this call gave".to_owned());
    let before = (!cursor.is_empty()).then(|| place(cursor).ok_or_else(no_cursor)).transpose()?;
    Ok(Sought {
        projects: None,
        within: None,
        by: None,
        branch: None,
        revision: None,
        from_ms,
        to_ms,
        before,
    })
}

/// A page of those that fit. One that fills up before all were looked at, or for which too many had to be looked at, says
/// from where to go on.
async fn page(
    plane: &Plane,
    mut sought: Sought,
    narrowed: &Narrowed,
    most: usize,
) -> Result<List<Run>, Refusal> {
    let piece = if narrowed.is_open() { most as u32 + 1 } else { PIECE };
    let (mut found, mut looked_at): (Vec<Standing>, u32) = (Vec::new(), 0);
    let cursor = |pipeline: &PipelineRow| Some((pipeline.created_ms, pipeline.id));
    let next = loop {
        let rows = plane.store.standing_pipelines(&sought, piece).await?;
        let is_last = rows.len() < piece as usize;
        looked_at += piece;
        sought.before = rows.last().map_or(sought.before, |run| cursor(&run.pipeline));
        found.extend(rows.into_iter().filter(|run| narrowed.fits(run)).take(most + 1 - found.len()));
        if found.len() > most {
            found.truncate(most);
            break found.last().and_then(|run| cursor(&run.pipeline));
        }
        if is_last {
            break None;
        }
        if looked_at >= LOOKED_AT {
            break sought.before;
        }
    };
    Ok(List::page(found.into_iter().map(shown).collect(), next.map(|(time, id)| after(time, id))))
}

fn shown(run: Standing) -> Run {
    let Standing { project, pipeline, workflows } = run;
    let stands = RunStatus::of(pipeline.state, &workflows).stands();
    let error = |message: &String| RunError { kind: "config", message: message.clone() };
    Thing {
        id: pipeline.id.0,
        attributes: RunAttributes {
            phase: stands.phase,
            current_outcome: stands.verdict,
            created_at: rfc3339(pipeline.created_ms),
            errors: pipeline.errors.iter().map(error).collect(),
        },
        references: RunReferences {
            event: Described { attributes: event(&pipeline) },
            trigger: Described {
                attributes: Trigger { event_source: EventSource { kind: source(&pipeline.git) } },
            },
            project: Reference { id: stable_id(&project) },
            user: user(&pipeline.actor),
        },
    }
}

fn event(pipeline: &PipelineRow) -> Event {
    let trigger = pipeline.git.trigger.as_ref();
    Event {
        kind: trigger.map(|trigger| trigger.event.clone()),
        action: trigger
            .filter(|trigger| trigger.pull_request.is_some())
            .map(|trigger| trigger.action.clone()),
        vcs: vcs(&pipeline.git, &pipeline.source),
    }
}

/// From where it was told of.
fn source(git: &GitValues) -> &'static str {
    match &git.trigger {
        None => "api",
        Some(trigger) if trigger.schedule.is_some() => "schedule",
        Some(_) => "webhook",
    }
}

/// What is known of the commit, if anything is.
fn vcs(git: &GitValues, source: &Source) -> Option<Vcs> {
    let (url, revision) = match source {
        Source::Git { url, revision, .. } => (Some(url), Some(revision)),
        _ => (git.url.as_ref(), git.revision.as_ref()),
    };
    let is_known = url.is_some() || revision.is_some() || git.branch.is_some() || git.tag.is_some();
    is_known.then(|| Vcs {
        branch: git.branch.clone(),
        tag: git.tag.clone(),
        revision: revision.cloned(),
        origin_repository_url: url.map(|url| without_password(url)),
        commit: commit(&git.commit),
    })
}

fn commit(commit: &CommitValues) -> Option<Commit> {
    let author = || Author { name: commit.author_name.clone() };
    (!commit.subject.is_empty()).then(|| Commit { subject: commit.subject.clone(), author: author() })
}
