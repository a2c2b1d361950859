//! What can be changed: namespaces, orbs and their versions, by those who may do everything. Why something was not done is in the
//! answer's `errors`.

use super::{
    Asker, EXAMINED, Problem,
    orbs::{Orb, OrbVersion, RegistryNamespace},
};
use crate::{
    api::{
        slug,
        unoffered::{CATEGORIES, RENAMED, UNLISTED},
    },
    plane::Plane,
    refusal::Refusal,
    registry::is_development,
};
use async_graphql::{Context, Error, Object, SimpleObject};
use protocol::api::NewOrb;
use store::{NamespaceRow, PackageRow, VersionRow};
use uuid::Uuid;

type Asked<T> = Result<T, Error>;

/// What can be changed.
pub(super) struct Changes;

#[Object(name = "Mutation")]
impl Changes {
    async fn create_namespace(
        &self,
        context: &Context<'_>,
        name: String,
        organization_id: Uuid,
    ) -> Asked<NamespacePayload> {
        let asker = Asker::of(context)?;
        let made = async {
            let organization = slug::organization_of_id(&asker.plane, organization_id).await?;
            asker.plane.make_namespace(&asker.who, &name, Some(&organization)).await
        };
        Ok(asker.changed(made).await)
    }

    /// One that belongs to nobody here.
    async fn import_namespace(&self, context: &Context<'_>, name: String) -> Asked<NamespacePayload> {
        let asker = Asker::of(context)?;
        Ok(asker.changed(asker.plane.make_namespace(&asker.who, &name, None)).await)
    }

    async fn create_orb(
        &self,
        context: &Context<'_>,
        name: String,
        registry_namespace_id: Uuid,
        is_private: Option<bool>,
    ) -> Asked<OrbPayload> {
        let asker = Asker::of(context)?;
        let made = make_orb(asker, registry_namespace_id, &name, is_private == Some(true));
        Ok(asker.changed(made).await)
    }

    async fn import_orb(
        &self,
        context: &Context<'_>,
        name: String,
        registry_namespace_id: Uuid,
    ) -> Asked<OrbPayload> {
        let asker = Asker::of(context)?;
        Ok(asker.changed(make_orb(asker, registry_namespace_id, &name, false)).await)
    }

    /// The orb by its id, or by its name and its namespace's.
    #[graphql(complexity = "EXAMINED + child_complexity")]
    async fn publish_orb(
        &self,
        context: &Context<'_>,
        orb_id: Option<Uuid>,
        orb_name: Option<String>,
        namespace_name: Option<String>,
        orb_yaml: String,
        version: String,
    ) -> Asked<VersionPayload> {
        let asker = Asker::of(context)?;
        let published = async {
            let name = named(&asker.plane, orb_id, orb_name, namespace_name).await?;
            publish(asker, &name, &version, orb_yaml, false).await
        };
        Ok(asker.changed(published).await)
    }

    /// A version that another registry has checked: it is taken as it is.
    #[graphql(complexity = "EXAMINED + child_complexity")]
    async fn import_orb_version(
        &self,
        context: &Context<'_>,
        orb_id: Uuid,
        orb_yaml: String,
        version: String,
    ) -> Asked<VersionPayload> {
        let asker = Asker::of(context)?;
        let published = async {
            let name = named(&asker.plane, Some(orb_id), None, None).await?;
            publish(asker, &name, &version, orb_yaml, true).await
        };
        Ok(asker.changed(published).await)
    }

    #[graphql(complexity = "EXAMINED + child_complexity")]
    async fn promote_orb(
        &self,
        context: &Context<'_>,
        orb_id: Option<Uuid>,
        orb_name: Option<String>,
        namespace_name: Option<String>,
        dev_version: String,
        semantic_version: String,
    ) -> Asked<VersionPayload> {
        let asker = Asker::of(context)?;
        let promoted = async {
            let name = named(&asker.plane, orb_id, orb_name, namespace_name).await?;
            promote(asker, &name, &dev_version, &semantic_version).await
        };
        Ok(asker.changed(promoted).await)
    }

    /// Not offered.
    async fn rename_namespace(
        &self,
        #[graphql(name = "namespaceId")] _namespace_id: Uuid,
        #[graphql(name = "newName")] _new_name: String,
    ) -> NamespacePayload {
        Err(refusal(RENAMED)).into()
    }

    /// Not offered.
    async fn delete_namespace_alias(&self, #[graphql(name = "name")] _name: String) -> DeletionPayload {
        DeletionPayload::refused()
    }

    /// Not offered.
    async fn delete_namespace_and_related_orbs(
        &self,
        #[graphql(name = "namespaceId")] _namespace_id: Uuid,
    ) -> DeletionPayload {
        DeletionPayload::refused()
    }

    /// Not offered.
    async fn set_orb_list_status(
        &self,
        #[graphql(name = "orbId")] _orb_id: Uuid,
        #[graphql(name = "list")] _list: bool,
    ) -> ListingPayload {
        ListingPayload { listed: true, errors: vec![Problem::of(&refusal(UNLISTED))] }
    }

    /// Not offered.
    async fn add_categorization_to_orb(&self, orb_id: Uuid, category_id: Uuid) -> CategorizationPayload {
        CategorizationPayload::refused(orb_id, category_id)
    }

    /// Not offered.
    async fn remove_categorization_from_orb(&self, orb_id: Uuid, category_id: Uuid) -> CategorizationPayload {
        CategorizationPayload::refused(orb_id, category_id)
    }
}

fn refusal(why: &str) -> Refusal {
    Refusal::NotOffered(why.to_owned())
}

async fn make_orb(
    asker: &Asker,
    namespace: Uuid,
    name: &str,
    is_private: bool,
) -> Result<PackageRow, Refusal> {
    let found = asker.plane.store.namespace_by_id(namespace).await?;
    let found = found.ok_or_else(|| Refusal::Missing(format!("no namespace has the id {namespace}")))?;
    asker.plane.make_package(&asker.who, &found, name, is_private).await
}

/// The name of the orb that is meant.
async fn named(
    plane: &Plane,
    id: Option<Uuid>,
    name: Option<String>,
    namespace: Option<String>,
) -> Result<String, Refusal> {
    match (id, name, namespace) {
        (Some(id), ..) => {
            let missing = || Refusal::Missing(format!("there is no orb {id}"));
            Ok(plane.store.package_by_id(id).await?.ok_or_else(missing)?.name)
        }
        (None, Some(name), Some(namespace)) => Ok(format!("{namespace}/{name}")),
        _ => Err(Refusal::Bad("say which orb: its `orbId`, or its `orbName` and `namespaceName`".to_owned())),
    }
}

async fn publish(
    asker: &Asker,
    name: &str,
    version: &str,
    source: String,
    is_imported: bool,
) -> Result<VersionRow, Refusal> {
    let new = NewOrb { reference: format!("{name}@{version}"), source, is_imported };
    asker.plane.publish_version(&asker.who, new).await
}

async fn promote(asker: &Asker, name: &str, development: &str, version: &str) -> Result<VersionRow, Refusal> {
    let label = development.strip_prefix("dev:").unwrap_or(development);
    let reference = format!("{name}@dev:{label}");
    let found = asker.plane.version(&reference).await?.filter(is_development);
    let found = found.ok_or_else(|| Refusal::Missing(format!("there is no orb {reference}")))?;
    asker.plane.promote_to(&asker.who, &found, version).await
}

/// What came of a change of a namespace.
#[derive(SimpleObject)]
struct NamespacePayload {
    namespace: Option<RegistryNamespace>,
    errors: Vec<Problem>,
}

impl From<Result<NamespaceRow, Refusal>> for NamespacePayload {
    fn from(made: Result<NamespaceRow, Refusal>) -> Self {
        let (made, errors) = parted(made);
        Self { namespace: made.map(RegistryNamespace), errors }
    }
}

/// What came of a change of an orb.
#[derive(SimpleObject)]
struct OrbPayload {
    orb: Option<Orb>,
    errors: Vec<Problem>,
}

impl From<Result<PackageRow, Refusal>> for OrbPayload {
    fn from(made: Result<PackageRow, Refusal>) -> Self {
        let (made, errors) = parted(made);
        Self { orb: made.map(Orb), errors }
    }
}

/// What came of publishing.
#[derive(SimpleObject)]
struct VersionPayload {
    orb: Option<OrbVersion>,
    errors: Vec<Problem>,
}

impl From<Result<VersionRow, Refusal>> for VersionPayload {
    fn from(made: Result<VersionRow, Refusal>) -> Self {
        let (made, errors) = parted(made);
        Self { orb: made.map(OrbVersion), errors }
    }
}

fn parted<T>(made: Result<T, Refusal>) -> (Option<T>, Vec<Problem>) {
    match made {
        Ok(made) => (Some(made), Vec::new()),
        Err(refusal) => (None, vec![Problem::of(&refusal)]),
    }
}

/// What came of taking something away.
#[derive(SimpleObject)]
struct DeletionPayload {
    deleted: bool,
    errors: Vec<Problem>,
}

impl DeletionPayload {
    fn refused() -> Self {
        Self { deleted: false, errors: vec![Problem::of(&refusal(RENAMED))] }
    }
}

/// Whether an orb is listed.
#[derive(SimpleObject)]
struct ListingPayload {
    listed: bool,
    errors: Vec<Problem>,
}

/// What came of sorting an orb into a category.
#[derive(SimpleObject)]
struct CategorizationPayload {
    orb_id: Uuid,
    category_id: Uuid,
    errors: Vec<Problem>,
}

impl CategorizationPayload {
    fn refused(orb_id: Uuid, category_id: Uuid) -> Self {
        Self { orb_id, category_id, errors: vec![Problem::of(&refusal(CATEGORIES))] }
    }
}
