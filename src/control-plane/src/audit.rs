//! The audit log: who did what, and when. A line names people, tokens and things, and holds no secret of any.

use crate::{
    plane::{
        Plane,
        clock::wall_ms,
        people::{Who, canonical},
    },
    refusal::Refusal,
};
use protocol::people::{EVERYWHERE, organization};
use store::{AuditRow, Belonging, Write};

/// The longest name of what something was done to, in letters.
const LONGEST: usize = 500;
/// Older lines are read by nobody who has not copied them elsewhere: the newest this many are kept, whatever their age.
pub(crate) const MOST: u64 = 1_000_000;

/// What can be done that the log tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// On the page.
    SignedIn,
    SignedOut,
    /// Who somebody is to be at the provider where people sign in.
    IdentitySet,
    IdentityRemoved,
    /// The first to come with an e-mail address is the person from then on.
    IdentityBound,
    AccountSet,
    AccountRemoved,
    PersonMade,
    PersonRemoved,
    RoleGiven,
    RoleTaken,
    TokenMade,
    TokenRemoved,
    ClassMade,
    ClassRemoved,
    ClassLimited,
    QueueRuled,
    RunnerTokenMade,
    RunnerTokenRemoved,
    SshKeyAdded,
    SshKeyRemoved,
    RepositoryNamed,
    RepositoryForgotten,
    WebhookMade,
    WebhookChanged,
    WebhookRemoved,
    ScheduleMade,
    ScheduleChanged,
    ScheduleRemoved,
    ProjectMade,
    NamespaceMade,
    OrbMade,
    OrbPublished,
    ContextMade,
    ContextRemoved,
    ContextRestricted,
    ContextUnrestricted,
    PoliciesGiven,
    PoliciesEnforced,
    VariableSet,
    VariableRemoved,
    KeyRotated,
    Started,
    Approved,
    Released,
    Canceled,
    RunAgain,
}

impl Deed {
    /// As it is kept: scripts may look for it.
    fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "sign-in",
            Self::SignedOut => "sign-out",
            Self::IdentitySet => "identity.set",
            Self::IdentityRemoved => "identity.remove",
            Self::IdentityBound => "identity.bind",
            Self::AccountSet => "account.set",
            Self::AccountRemoved => "account.remove",
            Self::PersonMade => "user.create",
            Self::PersonRemoved => "user.delete",
            Self::RoleGiven => "role.give",
            Self::RoleTaken => "role.take",
            Self::TokenMade => "token.create",
            Self::TokenRemoved => "token.delete",
            Self::ClassMade => "resource-class.create",
            Self::ClassRemoved => "resource-class.delete",
            Self::ClassLimited => "resource-class.limit",
            Self::QueueRuled => "project.queue",
            Self::RunnerTokenMade => "runner-token.create",
            Self::RunnerTokenRemoved => "runner-token.delete",
            Self::SshKeyAdded => "ssh-key.create",
            Self::SshKeyRemoved => "ssh-key.delete",
            Self::RepositoryNamed => "repository.name",
            Self::RepositoryForgotten => "repository.forget",
            Self::WebhookMade => "webhook.create",
            Self::WebhookChanged => "webhook.change",
            Self::WebhookRemoved => "webhook.delete",
            Self::ScheduleMade => "schedule.create",
            Self::ScheduleChanged => "schedule.change",
            Self::ScheduleRemoved => "schedule.delete",
            Self::ProjectMade => "project.create",
            Self::NamespaceMade => "namespace.create",
            Self::OrbMade => "orb.create",
            Self::OrbPublished => "orb.publish",
            Self::ContextMade => "context.create",
            Self::ContextRemoved => "context.delete",
            Self::ContextRestricted => "context.restrict",
            Self::ContextUnrestricted => "context.unrestrict",
            Self::PoliciesGiven => "policy.push",
            Self::PoliciesEnforced => "policy.settings",
            Self::VariableSet => "variable.set",
            Self::VariableRemoved => "variable.remove",
            Self::KeyRotated => "key.rotate",
            Self::Started => "pipeline.create",
            Self::Approved => "job.approve",
            Self::Released => "job.release",
            Self::Canceled => "cancel",
            Self::RunAgain => "rerun",
        }
    }
}

/// A line of the log, to be written with what it tells of.
pub(crate) fn line(who: &Who, deed: Deed, organization: &str, subject: &str) -> Write {
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    Write::Audit(AuditRow {
        number: 0,
        at_ms: wall_ms(),
        actor: plain(&who.login()),
        action: deed.name().to_owned(),
        organization: canonical(organization),
        subject: plain(subject),
    })
}

impl Plane {
    /// Tells of what was done to something of an organization, and waits until that is on disk: before it is answered.
    pub(crate) async fn tell_of(
        &self,
        who: &Who,
        deed: Deed,
        (organization, subject): (&str, &str),
    ) -> Result<(), Refusal> {
        self.write(vec![line(who, deed, organization, subject)]).await?;
        Ok(())
    }

    /// The same of a project.
    pub(crate) async fn tell_of_project(
        &self,
        who: &Who,
        deed: Deed,
        (project, subject): (&str, &str),
    ) -> Result<(), Refusal> {
        let subject = format!("{project}: {subject}");
        self.tell_of(who, deed, (organization(project), subject.trim_end_matches([':', ' ']))).await
    }

    /// The same of a pipeline, a workflow or a job.
    pub(crate) async fn tell_of_run(&self, who: &Who, deed: Deed, what: Belonging) -> Result<(), Refusal> {
        let project = self.store.project_of(what).await?;
        let subject = match what {
            Belonging::Pipeline(id) => format!("pipeline {id}"),
            Belonging::Workflow(id) => format!("workflow {id}"),
            Belonging::Job(id) => format!("job {id}"),
            Belonging::Task(id) => format!("task {id}"),
            Belonging::Schedule(id) => format!("schedule {id}"),
            Belonging::Webhook(id) => format!("webhook {id}"),
        };
        match project {
            Some(project) => self.tell_of_project(who, deed, (&project, &subject)).await,
            None => self.tell_of(who, deed, (EVERYWHERE, &subject)).await,
        }
    }
}
