//! What a call needs, said by the type of its caller: `May<Act, ThePipeline>` is somebody who may act on the pipeline that
//! the address names. Whoever may not does not reach what answers the call.
//!
//! The OpenAPI document has all of it in one table (`x-needs`), which `tests/it/strangers.rs` holds to every call.

use super::auth::{plane, token};
use crate::{
    bodies::Room,
    plane::{
        Plane,
        people::{Right, Who},
        token::{TokenHash, hash},
    },
    refusal::Refusal,
};
use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Path};
use protocol::people::{EVERYWHERE, ME};
use serde::{Deserialize, Deserializer, de::Visitor};
use std::{collections::HashMap, fmt, future::Future, marker::PhantomData, pin::Pin};
use store::Belonging;
use uuid::Uuid;

/// A caller who may do this to that.
#[derive(Debug)]
pub(crate) struct May<R, S> {
    pub(crate) who: Who,
    _room: Room,
    _needs: PhantomData<(R, S)>,
}

/// A right as a type.
pub(crate) trait Needs: 'static {
    const RIGHT: Right;
}

/// What a right is to be had over, as a type.
pub(crate) trait Subject: 'static {
    /// As the call names it.
    fn of(named: &Named<'_>) -> Of;
}

macro_rules! rights {
    ($($(#[$about:meta])* $name:ident)*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl Needs for $name {
            const RIGHT: Right = Right::$name;
        }
    )*};
}

rights! {
    /// To see how pipelines and workflows stand.
    Status
    /// To see all of them.
    View
    /// To start, cancel, approve and run them again.
    Act
    /// To give rights, keys and tokens.
    Administer
}

macro_rules! subjects {
    ($($(#[$about:meta])* $name:ident: $of:expr;)*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl Subject for $name {
            fn of(named: &Named<'_>) -> Of {
                let of: fn(&Named<'_>) -> Of = $of;
                of(named)
            }
        }
    )*};
}

subjects! {
    /// The control plane, and what belongs to no organization.
    Everything: |_| Of::Everything;
    /// Nothing in particular: any person may, with every role.
    Anything: |_| Of::Anything;
    /// Orbs, which belong to all: any person may see them, and whatever sees a project.
    Orbs: |_| Of::Orbs;
    /// What the body or the query names: whoever answers the call asks [`May::within`], or shows only what may be seen.
    Stated: |_| Of::Stated;
    /// The project in the address.
    TheProject: |named| Of::Project(named.place(&["slug", "project"]));
    /// The project whose id the address has.
    TheProjectOfId: |named| named.id(&["id"]).map_or(Of::Nothing, Of::ProjectOfId);
    /// The organization in the address.
    TheOrganization: |named| Of::Organization(named.place(&["organization"]));
    /// The organization whose id the address has.
    TheOrganizationOfId: |named| named.id(&["owner", "id"]).map_or(Of::Nothing, Of::OrganizationOfId);
    /// The person in the address.
    ThePerson: |named| Of::Person(named.place(&["login"]));
    /// The pipeline in the address, by its id or by that of a workflow.
    ThePipeline: |named| named.belonging(&["id", "pipeline"], Belonging::Pipeline);
    /// The workflow in the address.
    TheWorkflow: |named| named.belonging(&["id", "workflow"], Belonging::Workflow);
    /// The same, whose job is to be approved.
    TheApproval: |named| named.id(&["id", "workflow"]).map_or(Of::Nothing, Of::Approval);
    /// What waits for an approval.
    Approvals: |_| Of::Approvals;
    /// The job in the address.
    TheJob: |named| named.belonging(&["id", "job"], Belonging::Job);
    /// The task in the address.
    TheTask: |named| named.belonging(&["task"], Belonging::Task);
    /// The context in the address.
    TheContext: |named| {
        let found = named.id(&["context"]).and_then(|id| named.plane.contexts.by_id(id));
        found.map_or(Of::Nothing, |known| Of::ContextWithin(known.row.organization))
    };
    /// The schedule in the address.
    TheSchedule: |named| named.belonging(&["id"], Belonging::Schedule);
    /// The webhook in the address that its project has sent.
    TheWebhook: |named| named.belonging(&["id"], Belonging::Webhook);
    /// The resource class in the address.
    TheClass: |named| named.namespace(|plane, id| plane.access.class(id));
    /// The class whose token the address names.
    TheClassOfToken: |named| named.namespace(|plane, id| plane.access.class_of_token(id));
}

/// What a call names.
#[derive(Debug)]
pub(crate) struct Named<'c> {
    plane: &'c Plane,
    places: HashMap<Place, String>,
}

/// The name of a place in an address: routes give it as an identifier.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place(String);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(PlaceVisitor)
    }
}

struct PlaceVisitor;

impl Visitor<'_> for PlaceVisitor {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a place")
    }

    fn visit_str<E>(self, name: &str) -> Result<Place, E> {
        Ok(Place(name.to_owned()))
    }
}

/// What a right is to be had over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The control plane.
    Everything,
    /// Whatever any person may.
    Anything,
    /// The orbs that are published, which jobs of every project may use.
    Orbs,
    /// What is decided later.
    Stated,
    /// Nothing that there is.
    Nothing,
    /// By its name.
    Project(String),
    /// By its name.
    Organization(String),
    /// By its id.
    ProjectOfId(Uuid),
    /// By its id.
    OrganizationOfId(Uuid),
    /// A context, by its organization: whoever may not see it does not hear which that is.
    ContextWithin(String),
    /// Of resource classes.
    Namespace(String),
    /// A resource class, by its namespace: the same.
    ClassWithin(String),
    /// By their login.
    Person(String),
    /// By what belongs to it.
    Belonging(Belonging),
    /// Of a job of this workflow.
    Approval(Uuid),
    /// All that wait.
    Approvals,
}

impl<'c> Named<'c> {
    /// As whoever answers the call reads them.
    pub(crate) fn of(request: &'c HttpRequest) -> Self {
        let places = Path::extract(request).into_inner().map(Path::into_inner).unwrap_or_default();
        Self { plane: plane(request), places }
    }

    /// Empty where the address has no such place, or it is no text: nobody has a right to that.
    fn place(&self, names: &[&str]) -> String {
        names.iter().find_map(|name| self.places.get(&Place((*name).to_owned()))).cloned().unwrap_or_default()
    }

    fn id(&self, names: &[&str]) -> Option<Uuid> {
        self.place(names).parse().ok()
    }

    fn belonging(&self, names: &[&str], kind: fn(Uuid) -> Belonging) -> Of {
        self.id(names).map_or(Of::Nothing, |id| Of::Belonging(kind(id)))
    }

    fn namespace(&self, find: impl Fn(&Plane, Uuid) -> Option<protocol::ResourceClass>) -> Of {
        let found = self.id(&["id"]).and_then(|id| find(self.plane, id));
        found.map_or(Of::Nothing, |class| Of::ClassWithin(class.namespace().to_owned()))
    }
}

impl<R: Needs, S: Subject> FromRequest for May<R, S> {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = token(request).and_then(|token| Some((plane(request).who(&token)?, hash(&token))));
        let (plane, of) = (plane(request).clone(), S::of(&Named::of(request)));
        let paced = caller.as_ref().map(|(who, token)| plane.admit(who, token));
        let who = caller.map(|(who, _)| who);
        // Strangers take no room.
        let room = who.as_ref().map(|_| plane.bodies.admit(request));
        Box::pin(async move {
            let who = who.ok_or(Refusal::Unauthorized)?;
            paced.transpose()?;
            plane.allow(&who, R::RIGHT, &of).await?;
            let room = room.ok_or(Refusal::Unauthorized)??;
            Ok(Self { who, _room: room, _needs: PhantomData })
        })
    }
}

impl<R: Needs> May<R, Stated> {
    /// Whether they have the right over this, which the body or the query named.
    pub(crate) async fn within(&self, plane: &Plane, of: &Of) -> Result<(), Refusal> {
        plane.allow(&self.who, R::RIGHT, of).await
    }
}

impl Plane {
    /// Whether this token has not called too often.
    fn admit(&self, who: &Who, token: &TokenHash) -> Result<(), Refusal> {
        self.rates.admit(who, token, self.clock.moment().now)
    }

    /// Whether somebody has a right over something. Whoever may not even see it hears that it is not there.
    pub(crate) async fn allow(&self, who: &Who, right: Right, of: &Of) -> Result<(), Refusal> {
        if who.everywhere() >= Some(right) {
            return Ok(());
        }
        let held = match (who, of) {
            (Who::Approver, Of::Approval(_) | Of::Approvals) => return Ok(()),
            (Who::Approver, _) => return Err(Refusal::Unauthorized),
            (_, Of::Stated | Of::Approvals) => return Ok(()),
            (Who::Person(_), Of::Anything | Of::Orbs) => return Ok(()),
            (Who::Project { scope, .. }, Of::Orbs) if Right::from(*scope) >= right => return Ok(()),
            (Who::Person(somebody), Of::Person(login)) if is_called(&somebody.row.login, login) => {
                return Ok(());
            }
            (_, Of::Everything | Of::Anything | Of::Orbs | Of::Person(_)) => {
                return Err(forbidden(who, right, EVERYWHERE));
            }
            (_, Of::Nothing) => None,
            (_, Of::Organization(name) | Of::ContextWithin(name)) => who.in_organization(name),
            (_, Of::Namespace(name) | Of::ClassWithin(name)) => who.in_namespace(name),
            (_, Of::Project(name)) => who.in_project(name),
            (_, Of::ProjectOfId(id)) => self.project_of_id(*id).await?.and_then(|name| who.in_project(&name)),
            (_, Of::OrganizationOfId(id)) => {
                self.organization_of_id(*id).await?.and_then(|name| who.in_organization(&name))
            }
            (_, Of::Belonging(what)) => self.right_over(who, *what).await?,
            (_, Of::Approval(id)) => self.right_over(who, Belonging::Workflow(*id)).await?,
        };
        match held {
            Some(held) if held >= right => Ok(()),
            Some(_) => Err(forbidden(who, right, "it")),
            None => Err(missing(of)),
        }
    }

    async fn right_over(&self, who: &Who, what: Belonging) -> Result<Option<Right>, Refusal> {
        let project = self.store.project_of(what).await?;
        Ok(project.and_then(|project| who.in_project(&project)))
    }
}

fn is_called(login: &str, named: &str) -> bool {
    named == ME || named == login
}

fn forbidden(who: &Who, right: Right, over: &str) -> Refusal {
    let role = right.role().name();
    let over = if over == EVERYWHERE { "everything here (`*`)" } else { "its organization" };
    Refusal::Forbidden(match who {
        Who::Project { scope, .. } => {
            format!("a project's token of the scope `{}` does not open this", scope.name())
        }
        _ => format!("this needs the role `{role}` of {over}: ask one of its admins for it"),
    })
}

/// As it is answered to those who may see everything, so that nobody learns what exists.
fn missing(of: &Of) -> Refusal {
    Refusal::Missing(match of {
        Of::Project(name) => format!("there is no project {name}"),
        Of::Organization(name) => format!("no project of the organization {name} is known"),
        Of::ProjectOfId(id) => format!("there is no project {id}"),
        Of::OrganizationOfId(id) => format!("there is no organization {id}"),
        Of::Namespace(name) => format!("there is no namespace {name}"),
        Of::Belonging(Belonging::Pipeline(id)) => format!("there is no pipeline {id}"),
        Of::Belonging(Belonging::Workflow(id)) | Of::Approval(id) => format!("there is no workflow {id}"),
        Of::Belonging(Belonging::Job(id)) => format!("there is no job {id}"),
        Of::Belonging(Belonging::Task(id)) => format!("there is no task {id}"),
        Of::Belonging(Belonging::Schedule(id)) => format!("there is no schedule {id}"),
        Of::Belonging(Belonging::Webhook(id)) => format!("there is no webhook {id}"),
        _ => "there is no such thing".to_owned(),
    })
}
