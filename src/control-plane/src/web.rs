//! The page: pipelines, jobs and their logs as HTML that works without its script, which only follows what runs.
//!
//! ```text
//! /                               the newest pipelines
//! /pipelines/{id}                 workflows and jobs
//! /jobs/{id}[/{task}[/{step}]]    a job's task with its steps and the log of one
//! /tasks/{id}/steps/{n}/raw       a log as plain text
//! POST /session                   the operator's token, once; then a cookie
//! ```
//!
//! Everything that came from a job or a configuration is escaped, and no foreign script, style or frame is let in.

mod job;
mod pipeline;
mod pipelines;
mod raw;
mod response;
pub(crate) mod session;
mod words;

pub(crate) use job::in_url;

use actix_web::web::{ServiceConfig, get, post};

/// The one stylesheet, in every page.
pub(crate) const STYLE: &str = include_str!("../assets/page.css");
/// The one script, in every page.
pub(crate) const SCRIPT: &str = include_str!("../assets/page.js");

/// The routes of the page.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/", get().to(pipelines::page))
        .route("/pipelines/{pipeline}", get().to(pipeline::page))
        .route("/jobs/{job}", get().to(job::page))
        .route("/jobs/{job}/{task}", get().to(job::page))
        .route("/jobs/{job}/{task}/{step}", get().to(job::page))
        .route("/tasks/{task}/steps/{step}/raw", get().to(raw::log))
        .route("/session", post().to(session::open));
}
