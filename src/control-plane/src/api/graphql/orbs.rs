//! Orbs, their versions and their namespaces, as queries go from one to the other.

use super::{Asker, SOURCE, error, weighed};
use crate::{
    plane::clock::rfc3339,
    registry::{is_development, newest_first},
};
use async_graphql::{Context, Enum, Error, Object, SimpleObject};
use store::{NamespaceRow, PackageRow, Shelf, VersionRow};
use uuid::Uuid;

type Asked<T> = Result<T, Error>;

/// So many things has a page where nobody says how many, and at most.
const PAGE: i32 = 20;
const MOST: i32 = 100;
/// The same of versions.
const VERSIONS: i32 = 100;
const MOST_VERSIONS: i32 = 1_000;

fn within(wanted: Option<i32>, usual: i32, most: i32) -> u32 {
    wanted.unwrap_or(usual).clamp(0, most).unsigned_abs()
}

/// As often as things of a page may come.
pub(super) fn page_weight(first: Option<i32>) -> usize {
    within(first, PAGE, MOST).max(1) as usize
}

fn versions_weight(count: Option<i32>) -> usize {
    within(count, VERSIONS, MOST_VERSIONS).max(1) as usize
}

/// Where orbs live.
pub(super) struct RegistryNamespace(pub(super) NamespaceRow);

#[Object]
impl RegistryNamespace {
    async fn id(&self) -> Uuid {
        self.0.id
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn created_at(&self) -> String {
        rfc3339(self.0.created_ms)
    }

    /// By their names.
    #[graphql(complexity = "weighed(page_weight(first), child_complexity)")]
    async fn orbs(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        view: Option<OrbListViewType>,
    ) -> Asked<OrbConnection> {
        if view == Some(OrbListViewType::PrivateOnly) {
            return Ok(OrbConnection::default());
        }
        OrbConnection::of(context, Some(&self.0.name), first, after).await
    }
}

/// Which orbs of a namespace are meant: here none is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum OrbListViewType {
    All,
    PublicOnly,
    PrivateOnly,
}

/// An orb, of which nothing may be published yet.
pub(super) struct Orb(pub(super) PackageRow);

#[Object]
impl Orb {
    async fn id(&self) -> Uuid {
        self.0.id
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn namespace(&self) -> RegistryNamespace {
        RegistryNamespace(self.0.namespace.clone())
    }

    async fn created_at(&self) -> String {
        rfc3339(self.0.created_ms)
    }

    async fn is_private(&self) -> bool {
        false
    }

    async fn is_listed(&self) -> bool {
        true
    }

    /// None: there are no categories here.
    async fn categories(&self) -> Vec<OrbCategory> {
        Vec::new()
    }

    /// Nobody counts here.
    async fn statistics(&self) -> OrbStatistics {
        OrbStatistics::default()
    }

    /// By their numbers, the highest first; none in development is among them.
    #[graphql(complexity = "weighed(versions_weight(count), child_complexity)")]
    async fn versions(&self, context: &Context<'_>, count: Option<i32>) -> Asked<Vec<OrbVersion>> {
        let rows = Asker::of(context)?.plane.store.versions(&[&self.0.name]).await;
        let rows = newest_first(rows.map_err(|failed| error(failed.into()))?);
        let numbered = rows.into_iter().filter(|row| !is_development(row));
        Ok(numbered.take(within(count, VERSIONS, MOST_VERSIONS) as usize).map(OrbVersion).collect())
    }
}

/// How much an orb is used, where anybody counts.
#[derive(Debug, Default, SimpleObject)]
pub(super) struct OrbStatistics {
    #[graphql(name = "last30DaysBuildCount")]
    builds: Option<i32>,
    #[graphql(name = "last30DaysProjectCount")]
    projects: Option<i32>,
    #[graphql(name = "last30DaysOrganizationCount")]
    organizations: Option<i32>,
}

/// What orbs may be sorted into elsewhere: there is none.
pub(super) enum OrbCategory {}

impl OrbCategory {
    /// Whatever one would have.
    fn never<T>(&self) -> T {
        match *self {}
    }
}

#[Object]
impl OrbCategory {
    async fn id(&self) -> Uuid {
        self.never()
    }

    async fn name(&self) -> String {
        self.never()
    }
}

/// What was published of an orb.
pub(super) struct OrbVersion(pub(super) VersionRow);

#[Object]
impl OrbVersion {
    async fn id(&self) -> Uuid {
        self.0.id
    }

    async fn version(&self) -> &str {
        &self.0.version
    }

    async fn created_at(&self) -> String {
        rfc3339(self.0.published_ms)
    }

    async fn orb(&self, context: &Context<'_>) -> Asked<Orb> {
        let found = Asker::of(context)?.plane.store.package(&self.0.name).await;
        let found = found.map_err(|failed| error(failed.into()))?;
        found.map(Orb).ok_or_else(|| Error::new(format!("there is no orb {}", self.0.name)))
    }

    /// As it was published.
    #[graphql(complexity = "SOURCE")]
    async fn source(&self, context: &Context<'_>) -> Asked<String> {
        let asker = Asker::of(context)?;
        let source = asker.plane.source_of(&self.0).await.map_err(error)?;
        asker.takes(source.len())?;
        Ok(source)
    }
}

/// Whether more follow.
#[derive(Debug, Default, SimpleObject)]
pub(super) struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// A page of orbs.
#[derive(Default, SimpleObject)]
pub(super) struct OrbConnection {
    total_count: u64,
    edges: Vec<OrbEdge>,
    page_info: PageInfo,
}

/// An orb, and what the page behind it is asked for by.
#[derive(SimpleObject)]
pub(super) struct OrbEdge {
    cursor: String,
    node: Orb,
}

impl OrbConnection {
    pub(super) async fn of(
        context: &Context<'_>,
        namespace: Option<&str>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Asked<Self> {
        let plane = &Asker::of(context)?.plane;
        let after = after.unwrap_or_default();
        let shelf = Shelf { namespace, after: &after };
        let (rows, is_last) = plane.packages(shelf, within(first, PAGE, MOST)).await.map_err(error)?;
        let total_count =
            plane.store.count_packages(namespace).await.map_err(|failed| error(failed.into()))?;
        let edge = |row: PackageRow| OrbEdge { cursor: row.name.clone(), node: Orb(row) };
        let edges: Vec<_> = rows.into_iter().map(edge).collect();
        let end_cursor = edges.last().map(|edge| edge.cursor.clone());
        Ok(Self { total_count, edges, page_info: PageInfo { has_next_page: !is_last, end_cursor } })
    }
}

/// A page of categories: an empty one.
#[derive(Default, SimpleObject)]
pub(super) struct OrbCategoryConnection {
    total_count: u64,
    edges: Vec<OrbCategoryEdge>,
    page_info: PageInfo,
}

/// A category, of which there is none.
pub(super) enum OrbCategoryEdge {}

impl OrbCategoryEdge {
    /// Whatever one would have.
    fn never<T>(&self) -> T {
        match *self {}
    }
}

#[Object]
impl OrbCategoryEdge {
    async fn cursor(&self) -> String {
        self.never()
    }

    async fn node(&self) -> Option<OrbCategory> {
        self.never()
    }
}
