//! Namespaces and orbs as the `circleci` command lines know them: an orb may be there before anything of it is published, and
//! a development version is promoted to the next number.

use crate::{
    audit::Deed,
    pipelines::{orbs::MAX_SOURCE, processed::Processed},
    plane::{Plane, clock::wall_ms, people::Who},
    refusal::Refusal,
};
use compiler::orb::{Reference, Wanted, newest};
use protocol::{api::NewOrb, people::EVERYWHERE};
use serde::Deserialize;
use std::cmp::Reverse;
use store::{NamespaceRow, PackageRow, Shelf, VersionRow, Write};

/// The longest name of a namespace and of an orb in it.
const LONGEST: usize = 100;

/// Which number of a version is the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Segment {
    /// `1.2.3` to `2.0.0`.
    Major,
    /// `1.2.3` to `1.3.0`.
    Minor,
    /// `1.2.3` to `1.2.4`.
    Patch,
}

impl Segment {
    fn behind(self, [major, minor, patch]: [u64; 3]) -> String {
        match self {
            Self::Major => format!("{}.0.0", major.saturating_add(1)),
            Self::Minor => format!("{major}.{}.0", minor.saturating_add(1)),
            Self::Patch => format!("{major}.{minor}.{}", patch.saturating_add(1)),
        }
    }
}

impl Plane {
    /// Makes a namespace, or gives one that is nobody's to an organization.
    pub(crate) async fn make_namespace(
        &self,
        by: &Who,
        name: &str,
        organization: Option<&str>,
    ) -> Result<NamespaceRow, Refusal> {
        check_name(name)?;
        let (own, created_ms) = (name.to_owned(), wall_ms());
        let write = match organization {
            Some(of) => Write::OwnNamespace { name: own, organization: of.to_owned(), created_ms },
            None => Write::Namespace(own, created_ms),
        };
        if self.write(vec![write]).await? == [0] {
            return Err(Refusal::Conflict(format!("there is a namespace {name} already")));
        }
        self.tell_of(by, Deed::NamespaceMade, (organization.unwrap_or(EVERYWHERE), name)).await?;
        let gone = || Refusal::Unavailable("the namespace is being made: try again".to_owned());
        self.store.namespace(name).await?.ok_or_else(gone)
    }

    /// Makes an orb of which nothing is published yet. Its name may have that of its namespace before it.
    pub(crate) async fn make_package(
        &self,
        by: &Who,
        namespace: &NamespaceRow,
        name: &str,
        is_private: bool,
    ) -> Result<PackageRow, Refusal> {
        if is_private {
            let why = "all orbs here are seen by every person and every project: none is private";
            return Err(Refusal::NotOffered(why.to_owned()));
        }
        let own = name.strip_prefix(&format!("{}/", namespace.name)).unwrap_or(name);
        check_name(own)?;
        let name = format!("{}/{own}", namespace.name);
        if self.write(vec![Write::Package(name.clone(), wall_ms())]).await? == [0] {
            return Err(Refusal::Conflict(format!("there is an orb {name} already")));
        }
        self.tell_of(by, Deed::OrbMade, (EVERYWHERE, &name)).await?;
        let gone = || Refusal::Unavailable("the orb is being made: try again".to_owned());
        self.store.package(&name).await?.ok_or_else(gone)
    }

    /// A page of orbs by their names, and whether it is the last one.
    pub(crate) async fn packages(
        &self,
        shelf: Shelf<'_>,
        most: u32,
    ) -> Result<(Vec<PackageRow>, bool), Refusal> {
        let mut rows = self.store.packages(shelf, most.saturating_add(1)).await?;
        let is_last = rows.len() <= most as usize;
        rows.truncate(most as usize);
        Ok((rows, is_last))
    }

    /// Publishes a version as everybody does, and says what id it has.
    pub(crate) async fn publish_version(&self, by: &Who, new: NewOrb) -> Result<VersionRow, Refusal> {
        let made = self.publish_orb(new).await?;
        let reference = format!("{}@{}", made.name, made.version);
        self.tell_of(by, Deed::OrbPublished, (EVERYWHERE, &reference)).await?;
        let gone = || Refusal::Unavailable("the version is being published: try again".to_owned());
        let versions = self.store.versions(&[&made.name]).await?;
        versions.into_iter().find(|row| row.version == made.version).ok_or_else(gone)
    }

    /// Publishes a development version's source as the next version. Where somebody else published that meanwhile, they keep it.
    pub(crate) async fn promote(
        &self,
        by: &Who,
        development: &VersionRow,
        segment: Segment,
    ) -> Result<VersionRow, Refusal> {
        check_promotable(development)?;
        let versions = self.store.versions(&[&development.name]).await?;
        let newest = newest_of(&versions).and_then(|row| numbers(&row.version)).unwrap_or_default();
        self.promote_to(by, development, &segment.behind(newest)).await
    }

    /// The same as a version that its author numbers.
    pub(crate) async fn promote_to(
        &self,
        by: &Who,
        development: &VersionRow,
        version: &str,
    ) -> Result<VersionRow, Refusal> {
        check_promotable(development)?;
        if numbers(version).is_none() {
            return Err(Refusal::Bad(format!("`{version}` is no version to promote to: write 1.2.3")));
        }
        let reference = format!("{}@{version}", development.name);
        let source = self.source_of(development).await?;
        self.publish_version(by, NewOrb { reference, source, is_imported: false }).await
    }

    /// The published version that a reference means.
    pub(crate) async fn version(&self, reference: &str) -> Result<Option<VersionRow>, Refusal> {
        let named = |error| Refusal::Bad(format!("`{reference}` names no orb: {error}"));
        let reference: Reference = reference.parse().map_err(named)?;
        let versions = self.store.versions(&[&reference.name]).await?;
        let found = newest(&reference.wanted, versions.iter().map(|row| row.version.as_str()));
        Ok(found.and_then(|version| versions.iter().find(|row| row.version == version)).cloned())
    }

    /// What was published.
    pub(crate) async fn source_of(&self, version: &VersionRow) -> Result<String, Refusal> {
        let row = self.store.orb(&version.name, &version.version).await?;
        let gone = || Refusal::Missing(format!("there is no orb {}@{}", version.name, version.version));
        row.map(|row| row.source).ok_or_else(gone)
    }

    /// An orb as it would be published, or each error with its place. What is published is what was written: nothing in it
    /// is filled in before somebody uses it.
    pub(crate) async fn process_orb(&self, source: String) -> Result<Processed, Refusal> {
        if source.len() > MAX_SOURCE {
            let message = format!("the orb has {} bytes, of which {MAX_SOURCE} are taken", source.len());
            return Ok(Err(vec![message]));
        }
        let found = self.examined_orb("orb.yml".to_owned(), source.clone()).await?;
        Ok(found.map(|()| source))
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let is_word = format!("{name}/{name}@volatile").parse::<Reference>().is_ok();
    if is_word && name.len() <= LONGEST {
        return Ok(());
    }
    Err(Refusal::Bad(format!(
        "`{name}` is no name: it wants 1 to {LONGEST} letters, digits, `-`, `_` and `.`"
    )))
}

fn check_promotable(row: &VersionRow) -> Result<(), Refusal> {
    if is_development(row) {
        return Ok(());
    }
    let message = format!("{}@{} is no development version: only those are promoted", row.name, row.version);
    Err(Refusal::Bad(message))
}

/// Whether it is `dev:x`.
pub(crate) fn is_development(row: &VersionRow) -> bool {
    row.version.starts_with("dev:")
}

fn numbers(version: &str) -> Option<[u64; 3]> {
    match version.parse() {
        Ok(Wanted::Numbers(numbers)) => numbers.try_into().ok(),
        _ => None,
    }
}

/// The version with the highest number, if any has one.
pub(crate) fn newest_of(versions: &[VersionRow]) -> Option<&VersionRow> {
    versions.iter().filter(|row| !is_development(row)).max_by_key(|row| numbers(&row.version))
}

/// By their numbers, the highest first, and then those in development, of which the last published is the first.
pub(crate) fn newest_first(mut versions: Vec<VersionRow>) -> Vec<VersionRow> {
    versions.sort_by_key(|row| (is_development(row), Reverse((numbers(&row.version), row.published_ms))));
    versions
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn version((version, published_ms): (&str, i64)) -> VersionRow {
        VersionRow {
            id: Uuid::nil(),
            name: "acme/tools".to_owned(),
            version: version.to_owned(),
            published_ms,
        }
    }

    #[test]
    fn versions_come_by_their_numbers_and_development_versions_by_their_age() {
        let all = [("dev:a", 1), ("1.9.0", 5), ("1.10.0", 2), ("dev:b", 3), ("0.1.0", 9)].map(version);
        assert_eq!(newest_of(&all).unwrap().version, "1.10.0");
        let sorted: Vec<_> = newest_first(all.to_vec()).into_iter().map(|row| row.version).collect();
        assert_eq!(sorted, ["1.10.0", "1.9.0", "0.1.0", "dev:b", "dev:a"]);
    }

    #[test]
    fn the_next_version_raises_one_number_and_begins_the_later_ones_anew() {
        for (segment, next) in
            [(Segment::Major, "2.0.0"), (Segment::Minor, "1.3.0"), (Segment::Patch, "1.2.4")]
        {
            assert_eq!(segment.behind([1, 2, 3]), next);
        }
        assert_eq!(Segment::Patch.behind(Default::default()), "0.0.1");
    }
}
