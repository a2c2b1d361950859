//! The page: pipelines, jobs and their logs as HTML that works without its script, which only follows what runs.
//!
//! ```text
//! /                               the newest pipelines
//! /pipelines/{id}                 workflows and jobs
//! /jobs/{id}[/{task}[/{step}]]    a job's task with its steps and the log of one
//! /jobs/{id}/tests                its test results
//! /tasks/{id}/steps/{n}/raw       a log as plain text, each line after its time where that is asked for
//! /runners                        who serves which class, what runs there and what waits
//! /settings[/{organization}]      contexts, projects, people
//! /insights/{project}             how its workflows fare over time
//! /jobs/{id}/{task}/artifacts/{path}, /reports/{key}/{id}/{task}/{path}   a report in a sandbox
//! POST /session                   the operator's token or one's own, once; then a cookie
//! /sign-in/oidc[/callback]        to the provider where people sign in, and back from it
//! POST /sign-out
//! POST /pipelines/{id}/cancel, /workflows/{id}/cancel, /workflows/{id}/rerun, /workflows/{id}/approve/{job},
//!      /workflows/{id}/release/{job}
//! POST /settings/{organization}   what an admin changes there
//! /welcome/{key}                  who the first admin is, once
//! ```
//!
//! Everything that came from a job or a configuration is escaped, and no foreign script, style or frame is let in.

mod acts;
mod address;
mod graph;
mod insights;
mod job;
mod pipeline;
mod pipelines;
mod raw;
mod reports;
mod response;
mod runners;
pub(crate) mod session;
mod settings;
mod sign_in;
mod tests;
pub(crate) mod welcome;
mod words;

pub(crate) use job::in_url;
pub(crate) use raw::pieces;

use actix_web::web::{FormConfig, ServiceConfig, get, post, resource};

/// The one stylesheet, in every page.
pub(crate) const STYLE: &str = include_str!("../assets/page.css");
/// The one script, in every page.
pub(crate) const SCRIPT: &str =
    concat!(include_str!("../assets/times.js"), include_str!("../assets/page.js"));

/// The routes of the page.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/", get().to(pipelines::page))
        .route("/pipelines/{pipeline}", get().to(pipeline::page))
        .route("/jobs/{job}", get().to(job::page))
        .route("/jobs/{job}/tests", get().to(tests::page))
        .route("/jobs/{job}/{task}", get().to(job::page))
        .route("/jobs/{job}/{task}/{step}", get().to(job::page))
        .route("/jobs/{job}/{index}/artifacts/{path:.+}", get().to(reports::open))
        .route("/reports/{held}/{job}/{index}/{path:.+}", get().to(reports::report))
        .route("/tasks/{task}/steps/{step}/raw", get().to(raw::log))
        .route("/runners", get().to(runners::page))
        .route("/settings", get().to(settings::all))
        .service(
            resource("/settings/{organization:.+}")
                .app_data(FormConfig::default().limit(settings::LONGEST_FORM))
                .route(get().to(settings::page))
                .route(post().to(settings::change)),
        )
        .route("/insights/{project:.+}", get().to(insights::page))
        .route("/pipelines/{pipeline}/cancel", post().to(acts::cancel))
        .route("/workflows/{workflow}/cancel", post().to(acts::cancel_workflow))
        .route("/workflows/{workflow}/rerun", post().to(acts::rerun))
        .route("/workflows/{workflow}/approve/{job}", post().to(acts::approve))
        .route("/workflows/{workflow}/release/{job}", post().to(acts::release))
        .route("/session", post().to(session::open))
        .route("/sign-in/oidc", get().to(sign_in::begin))
        .route("/sign-in/oidc/callback", get().to(sign_in::back))
        .route("/sign-out", post().to(session::close))
        .route("/welcome/{key}", get().to(welcome::page))
        .route("/welcome/{key}", post().to(welcome::enter));
}
