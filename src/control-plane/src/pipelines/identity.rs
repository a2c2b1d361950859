//! What a job's identity tokens say of it, as CircleCI's do, and the variables that have them.

use crate::{
    plane::{
        Plane,
        clock::wall_ms,
        live::{Live, LiveJob, Pipeline},
        people::id_of,
        projects::stable_id,
    },
    refusal::Refusal,
};
use protocol::{
    http::{Lease, Minted},
    job::are_audiences,
    task::Variable,
};
use serde_json::{Map, Value, json};

/// What claims of CircleCI's own begin with: policies that were written for it go by these names.
const OWN: &str = "oidc.circleci.com/";

/// In which form a token names its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// `CIRCLE_OIDC_TOKEN`.
    First,
    /// `CIRCLE_OIDC_TOKEN_V2`: with the repository and the branch or tag, where they are known.
    Second,
}

impl Plane {
    /// The variables with a job's tokens; none where nobody could check them.
    pub(super) fn identity(&self, live: &Live, job: &LiveJob) -> Vec<Variable> {
        // Who trusts tokens of a project's jobs does not mean what strangers wrote.
        let Some(issuer) = self.issuer.as_ref().filter(|_| live.pipeline.git.fork().is_none()) else {
            return Vec::new();
        };
        let variable = |(name, subject): (&str, Subject)| Variable {
            name: name.to_owned(),
            value: issuer.token(claims(live, job, subject, &[]), wall_ms()),
            secret: true,
        };
        [("CIRCLE_OIDC_TOKEN", Subject::First), ("CIRCLE_OIDC_TOKEN_V2", Subject::Second)]
            .map(variable)
            .into()
    }

    /// Another token for the job of a task.
    pub(crate) fn mint(&self, lease: Lease, audience: &[String]) -> Result<Minted, Refusal> {
        let issuer = self.issuer.as_ref().ok_or_else(Refusal::no_issuer)?;
        if !are_audiences(audience) {
            return Err(Refusal::Bad("`aud` wants one to sixteen texts of at most 1024 bytes".to_owned()));
        }
        let claims = self.held(lease, |(live, place), _| {
            let is_own = live.pipeline.git.fork().is_none();
            is_own.then(|| claims(live, &live.jobs[place], Subject::First, audience))
        })?;
        let claims = claims.ok_or_else(|| {
            Refusal::Bad("a pipeline of a fork's pull request gets no identity tokens".to_owned())
        })?;
        Ok(Minted { token: issuer.token(claims, wall_ms()) })
    }
}

fn claims(live: &Live, job: &LiveJob, subject: Subject, audience: &[String]) -> Map<String, Value> {
    let pipeline = &*live.pipeline;
    let name = &pipeline.project_name;
    let organization =
        stable_id(name.rsplit_once('/').map_or("", |(organization, _)| organization)).to_string();
    let project = stable_id(name).to_string();
    let source = source(pipeline);
    let mut sub = format!("org/{organization}/project/{project}/user/{}", id_of(live.actor()));
    if subject == Subject::Second {
        source.iter().for_each(|(part, value)| sub += &format!("/{part}/{value}"));
    }
    let contexts: Vec<_> = job.definition.contexts.iter().map(|name| stable_id(name).to_string()).collect();
    let own = [
        ("org-id", json!(organization)),
        ("project-id", json!(project)),
        ("context-ids", json!(contexts)),
        ("pipeline-id", json!(pipeline.id)),
        ("workflow-id", json!(live.guard.workflow)),
        ("job-id", json!(job.id)),
        ("ssh-rerun", json!(false)),
    ];
    let own = own.into_iter().chain(source.into_iter().map(|(part, value)| (part, json!(value))));
    let mut claims: Map<_, _> = own.map(|(name, value)| (format!("{OWN}{name}"), value)).collect();
    claims.insert("sub".to_owned(), json!(sub));
    claims.insert("aud".to_owned(), whom(audience, &organization));
    claims
}

/// By default those who trust the organization.
fn whom(audience: &[String], organization: &str) -> Value {
    match audience {
        [] => json!(organization),
        [one] => json!(one),
        several => json!(several),
    }
}

/// Repository and branch or tag, as far as they are known to be so.
fn source(pipeline: &Pipeline) -> Vec<(&'static str, String)> {
    let git = &pipeline.git;
    if git.is_claimed {
        return Vec::new();
    }
    let tag = git.tag.as_ref().map(|tag| format!("refs/tags/{tag}"));
    let reference = tag.or_else(|| git.branch.as_ref().map(|branch| format!("refs/heads/{branch}")));
    let origin = git.url.as_deref().and_then(origin).map(|origin| ("vcs-origin", origin));
    origin.into_iter().chain(reference.map(|reference| ("vcs-ref", reference))).collect()
}

/// `github.com/acme/app`, of whatever form its address has.
fn origin(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.rsplit_once('@').map_or(rest, |(_, rest)| rest).to_owned(),
        None => {
            let (host, path) = url.split_once(':')?;
            format!("{}/{}", host.rsplit('@').next().unwrap_or_default(), path.trim_start_matches('/'))
        }
    };
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    (path.split('/').filter(|part| !part.is_empty()).count() > 1).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_same_whatever_form_the_address_has() {
        for url in [
            "https://github.com/acme/app.git",
            "https://token@github.com/acme/app/",
            "git@github.com:acme/app.git",
            "ssh://git@github.com/acme/app",
        ] {
            assert_eq!(origin(url).unwrap(), "github.com/acme/app", "{url}");
        }
        for url in ["", "/srv/git/app", "https://github.com", "app"] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
