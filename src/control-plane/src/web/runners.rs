//! The runners: classes with the instances that serve them, what each runs, and what waits and why.

use super::{
    response::{NoPage, Sheet, page as html},
    session::Visitor,
    words::{ago, between, duration},
};
use crate::{
    api::may::Stated,
    plane::{
        Plane,
        instances::LIVE_MS,
        people::{Right, Who},
    },
    refusal::Refusal,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use protocol::{JobId, PipelineId, ResourceClass};
use std::collections::BTreeMap;
use store::{InstanceRow, UnfinishedTask};

/// So many tasks are shown.
const MOST: u32 = 1000;

#[derive(Template)]
#[template(path = "runners.html")]
struct Page<'s> {
    sheet: &'s Sheet,
    classes: Vec<Class>,
}

struct Class {
    name: String,
    description: String,
    live: usize,
    running: usize,
    instances: Vec<Instance>,
    waiting: Vec<Task>,
}

struct Instance {
    name: String,
    host: String,
    version: String,
    is_live: bool,
    seen: String,
    tasks: Vec<Task>,
}

struct Task {
    job: JobId,
    index: u32,
    pipeline: PipelineId,
    number: u64,
    project: String,
    name: String,
    since: i64,
    took: String,
}

/// `GET /runners`.
pub(crate) async fn page(
    visitor: Visitor<Stated>,
    request: HttpRequest,
    plane: web::Data<Plane>,
) -> Result<HttpResponse, NoPage> {
    let sheet = &Sheet::of(&request);
    let tasks = plane.store.unfinished_tasks(MOST).await.map_err(Refusal::from)?;
    let classes = classes(&plane, &visitor.who, tasks, sheet.now);
    Ok(html(StatusCode::OK, sheet, &Page { sheet, classes }))
}

/// Those that somebody may see, and others that tasks of theirs wait for.
fn classes(plane: &Plane, who: &Who, tasks: Vec<UnfinishedTask>, now: i64) -> Vec<Class> {
    let sees = |class: &ResourceClass| who.in_namespace(class.namespace()) >= Some(Right::View);
    let mut classes: BTreeMap<ResourceClass, Class> = BTreeMap::new();
    for row in plane.access.classes().into_iter().filter(|row| sees(&row.class)) {
        let class = Class { description: row.description, ..Class::of(&row.class) };
        classes.insert(row.class, class);
    }
    for (class, row) in plane.instances.all() {
        if let Some(known) = classes.get_mut(&class) {
            known.instances.push(Instance::of(row, now));
        }
    }
    for task in tasks.into_iter().filter(|task| who.sees(&task.project)) {
        classes.entry(task.class.clone()).or_insert_with_key(Class::of).take(task, now);
    }
    let mut all: Vec<_> = classes.into_values().collect();
    all.iter_mut().for_each(Class::count);
    all
}

impl Class {
    fn of(class: &ResourceClass) -> Self {
        let (description, instances, waiting) = (String::new(), Vec::new(), Vec::new());
        Self { name: class.to_string(), description, live: 0, running: 0, instances, waiting }
    }

    /// An instance that holds a task, and that nobody else knows of, is there all the same.
    fn take(&mut self, task: UnfinishedTask, now: i64) {
        let Some(runner) = task.runner.clone() else { return self.waiting.push(Task::of(task, now)) };
        self.running += 1;
        let known = self.instances.iter_mut().find(|instance| instance.name == runner);
        if let Some(instance) = known {
            instance.tasks.push(Task::of(task, now));
        } else {
            self.instances.push(Instance { tasks: vec![Task::of(task, now)], ..Instance::unknown(runner) });
        }
    }

    fn count(&mut self) {
        self.live = self.instances.iter().filter(|instance| instance.is_live).count();
    }
}

impl Instance {
    fn of(row: InstanceRow, now: i64) -> Self {
        Self {
            is_live: now - row.last_connected_ms < LIVE_MS,
            seen: ago(row.last_connected_ms, now),
            host: row.hostname,
            version: row.version,
            ..Self::unknown(row.name)
        }
    }

    fn unknown(name: String) -> Self {
        let (host, version, seen, tasks) = (String::new(), String::new(), String::new(), Vec::new());
        Self { name, host, version, is_live: false, seen, tasks }
    }
}

impl Task {
    fn of(task: UnfinishedTask, now: i64) -> Self {
        let since = task.runner.and(task.claimed_ms).unwrap_or(task.queued_ms);
        let name = match task.parallelism {
            0 | 1 => task.name,
            _ => format!("{} [{}]", task.name, task.index),
        };
        Self {
            job: task.job,
            index: task.index,
            pipeline: task.pipeline,
            number: task.number,
            project: task.project,
            name,
            since,
            took: duration(between(since, now)),
        }
    }
}
