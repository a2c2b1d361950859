//! What can be asked: of orbs, their namespaces, organizations, and who asks.

use super::{
    Asker, EXAMINED, Problem, SOURCE, error,
    orbs::{
        Orb, OrbCategory, OrbCategoryConnection, OrbConnection, OrbVersion, RegistryNamespace, page_weight,
    },
    weighed,
};
use crate::{
    api::{me::User, organizations::is_seen, slug},
    plane::projects::{HOSTS, stable_id},
    refusal::Refusal,
};
use async_graphql::{Context, Enum, Error, ID, Object, SimpleObject};
use uuid::Uuid;

type Asked<T> = Result<T, Error>;

/// What can be asked.
pub(super) struct Questions;

#[Object(name = "Query")]
impl Questions {
    /// Who asks.
    async fn me(&self, context: &Context<'_>) -> Asked<User> {
        User::caller(&Asker::of(context)?.who).map_err(error)
    }

    /// By its id, or by its name where its repositories are kept.
    #[graphql(complexity = "SOURCE + child_complexity")]
    async fn organization(
        &self,
        context: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
        vcs_type: Option<VcsType>,
    ) -> Asked<Organization> {
        let asker = Asker::of(context)?;
        let (found, asked) = match (id, name, vcs_type) {
            (Some(id), None, None) => {
                let known = id.parse().ok();
                let found = match known {
                    Some(id) => asker.plane.organization_of_id(id).await,
                    None => Ok(None),
                };
                (found, id.to_string())
            }
            (None, Some(name), Some(vcs)) => {
                let slug = format!("{}/{name}", vcs.host());
                (slug::known_organization(&asker.plane, &slug).await, slug)
            }
            _ => return Err(Error::new("say which organization: its `id`, or its `name` and `vcsType`")),
        };
        let seen = found.map_err(error)?.filter(|found| is_seen(&asker.who, found));
        let missing = || error(Refusal::Missing(format!("there is no organization {asked}")));
        seen.map(|slug| Organization::of(&slug)).ok_or_else(missing)
    }

    async fn registry_namespace(
        &self,
        context: &Context<'_>,
        name: Option<String>,
    ) -> Asked<Option<RegistryNamespace>> {
        let Some(name) = name else { return Ok(None) };
        let found = Asker::of(context)?.plane.store.namespace(&name).await;
        Ok(found.map_err(|failed| error(failed.into()))?.map(RegistryNamespace))
    }

    async fn orb(&self, context: &Context<'_>, name: String) -> Asked<Option<Orb>> {
        let found = Asker::of(context)?.plane.store.package(&name).await;
        Ok(found.map_err(|failed| error(failed.into()))?.map(Orb))
    }

    /// The newest one that fits: `acme/tools@1.2`, `acme/tools@volatile`, `acme/tools@dev:x`.
    async fn orb_version(&self, context: &Context<'_>, orb_version_ref: String) -> Asked<Option<OrbVersion>> {
        let found = Asker::of(context)?.plane.version(&orb_version_ref).await;
        Ok(found.map_err(error)?.map(OrbVersion))
    }

    /// By their names. All are published by those who may do everything: `certifiedOnly` narrows nothing.
    #[graphql(complexity = "weighed(page_weight(first), child_complexity)")]
    async fn orbs(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(name = "certifiedOnly")] _certified_only: Option<bool>,
    ) -> Asked<OrbConnection> {
        OrbConnection::of(context, None, first, after).await
    }

    /// There are none.
    async fn orb_categories(
        &self,
        #[graphql(name = "first")] _first: Option<i32>,
        #[graphql(name = "after")] _after: Option<String>,
    ) -> OrbCategoryConnection {
        OrbCategoryConnection::default()
    }

    /// There is none.
    async fn orb_category_by_name(&self, #[graphql(name = "name")] _name: String) -> Option<OrbCategory> {
        None
    }

    /// Whether an orb is right, and what would be published. Whose it is makes no difference.
    #[graphql(complexity = "EXAMINED")]
    async fn orb_config(
        &self,
        context: &Context<'_>,
        orb_yaml: String,
        #[graphql(name = "ownerId")] _owner_id: Option<Uuid>,
    ) -> Asked<OrbConfig> {
        let processed = Asker::of(context)?.plane.process_orb(orb_yaml.clone()).await.map_err(error)?;
        let (output_yaml, errors) = match processed {
            Ok(output) => (Some(output), Vec::new()),
            Err(errors) => (None, errors),
        };
        let wrong = |message| Problem { message, kind: "Bad Request" };
        let errors: Vec<_> = errors.into_iter().map(wrong).collect();
        Ok(OrbConfig { valid: errors.is_empty(), errors, source_yaml: orb_yaml, output_yaml })
    }
}

/// What came of looking an orb through.
#[derive(Debug, SimpleObject)]
struct OrbConfig {
    valid: bool,
    errors: Vec<Problem>,
    source_yaml: String,
    output_yaml: Option<String>,
}

/// Where an organization's repositories are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "VCSType")]
enum VcsType {
    Github,
    Bitbucket,
    Gitlab,
}

impl VcsType {
    const ALL: [Self; 3] = [Self::Github, Self::Bitbucket, Self::Gitlab];

    fn host(self) -> &'static str {
        match self {
            Self::Github => "gh",
            Self::Bitbucket => "bb",
            Self::Gitlab => "gl",
        }
    }

    fn of(host: &str) -> Option<Self> {
        let same = HOSTS.iter().find(|names| names.contains(&host))?;
        Self::ALL.into_iter().find(|vcs| same.contains(&vcs.host()))
    }
}

/// An organization of which something is known here.
#[derive(Debug, SimpleObject)]
struct Organization {
    id: ID,
    name: String,
    slug: String,
    /// None: it is kept elsewhere.
    vcs_type: Option<VcsType>,
}

impl Organization {
    fn of(slug: &str) -> Self {
        let (host, _) = slug.split_once('/').unwrap_or(("", slug));
        Self {
            id: stable_id(slug).into(),
            name: slug::last(slug).to_owned(),
            slug: slug.to_owned(),
            vcs_type: VcsType::of(host),
        }
    }
}
