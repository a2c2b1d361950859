//! Published orbs: what may be written again, and what may not.

use super::*;
use crate::{OrbRow, Shelf};

fn orb(version: &str, source: &str, published_ms: i64) -> Write {
    let digest = content(source).digest;
    let (name, version, source) = ("acme/tools".to_owned(), version.to_owned(), source.to_owned());
    Write::Orb(Box::new(OrbRow { name, version, digest, source, published_ms }))
}

#[tokio::test]
async fn a_version_is_written_once_and_a_development_version_again() {
    let (_folder, store) = store().await;
    for (version, source, at_ms, taken) in [
        ("1.0.0", "a", 1, 1),
        ("1.0.0", "a", 2, 1),
        ("1.0.0", "b", 3, 0),
        ("dev:x", "a", 4, 1),
        ("dev:x", "b", 5, 1),
        ("dev:x", "b", 6, 1),
    ] {
        let number = store.write(None, vec![orb(version, source, at_ms)]).await.unwrap();
        assert_eq!(number, [taken], "{version} {source}");
    }
    let found = async |version: &str| {
        let orb = store.orb("acme/tools", version).await.unwrap().unwrap();
        (orb.source, orb.published_ms)
    };
    assert_eq!(found("1.0.0").await, ("a".to_owned(), 1));
    assert_eq!(found("dev:x").await, ("b".to_owned(), 5));
    assert_eq!(store.orb("acme/tools", "1.0.1").await.unwrap(), None);
}

#[tokio::test]
async fn orbs_are_listed_by_name() {
    let (_folder, store) = store().await;
    store.write(None, vec![orb("1.0.0", "a", 1), orb("dev:x", "b", 2)]).await.unwrap();
    let listed = async |name: Option<&str>| {
        let rows = store.orbs(name).await.unwrap();
        rows.into_iter().map(|(name, version, _)| format!("{name}@{version}")).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, ["acme/tools@1.0.0", "acme/tools@dev:x"]);
    assert_eq!(listed(Some("acme/tools")).await.len(), 2);
    assert!(listed(Some("acme/other")).await.is_empty());
}

#[tokio::test]
async fn a_published_version_has_an_id_that_it_keeps_and_brings_its_orb_and_namespace() {
    let (_folder, store) = store().await;
    store.write(None, vec![orb("1.0.0", "a", 1), orb("dev:x", "a", 2)]).await.unwrap();
    let package = store.package("acme/tools").await.unwrap().unwrap();
    assert_eq!((package.created_ms, package.namespace.organization.as_deref()), (1, None));
    assert_eq!(store.package_by_id(package.id).await.unwrap().as_ref(), Some(&package));
    assert_eq!(store.namespace_by_id(package.namespace.id).await.unwrap(), Some(package.namespace));
    let before = store.versions(&["acme/tools", "acme/other"]).await.unwrap();
    store.write(None, vec![orb("1.0.0", "b", 3), orb("dev:x", "b", 4)]).await.unwrap();
    let after = store.versions(&["acme/tools"]).await.unwrap();
    assert_eq!(before[0], after[0]);
    assert_eq!((before[1].id, after[1].published_ms), (after[1].id, 4));
    assert_eq!(store.version_by_id(after[1].id).await.unwrap().as_ref(), Some(&after[1]));
}

#[tokio::test]
async fn a_namespace_is_given_once_and_orbs_are_found_by_it_in_pages() {
    let (_folder, store) = store().await;
    let give = |organization: &str| Write::OwnNamespace {
        name: "acme".to_owned(),
        organization: organization.to_owned(),
        created_ms: 1,
    };
    store.write(None, vec![orb("1.0.0", "a", 1)]).await.unwrap();
    assert_eq!(store.write(None, vec![give("gh/acme"), give("gh/other")]).await.unwrap(), [1, 0]);
    let found = store.namespace("acme").await.unwrap().unwrap();
    assert_eq!(found.organization.as_deref(), Some("gh/acme"));
    let names = ["acme/more", "acme/tools", "bolt/x"].map(|name| Write::Package(name.to_owned(), 2));
    assert_eq!(store.write(None, names.into()).await.unwrap(), [1, 0, 1]);
    let listed = async |shelf: Shelf<'_>, most| {
        let rows = store.packages(shelf, most).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(listed(Shelf::default(), 2).await, ["acme/more", "acme/tools"]);
    assert_eq!(listed(Shelf { after: "acme/tools", ..Shelf::default() }, 2).await, ["bolt/x"]);
    assert_eq!(listed(Shelf { namespace: Some("acme"), after: "acme/more" }, 9).await, ["acme/tools"]);
    assert_eq!(store.count_packages(None).await.unwrap(), 3);
    assert_eq!(store.count_packages(Some("bolt")).await.unwrap(), 1);
}

/// A store as it was before orbs had names of their own.
const BEFORE: &str = "DROP INDEX orbs_by_id; ALTER TABLE orbs DROP COLUMN id; DROP TABLE orb_packages; \
                      DROP TABLE orb_namespaces; DELETE FROM _sqlx_migrations WHERE version = 27; \
                      INSERT INTO orbs VALUES ('acme/tools', '1.0.0', 'd', 's', 7), ('acme/tools', 'dev:x', 'd', 's', 5), \
                      ('acme/more', '0.1.0', 'd', 's', 6)";

#[tokio::test]
async fn what_was_published_before_has_its_orb_its_namespace_and_ids_afterwards() {
    let (folder, store) = store().await;
    store.close().await;
    execute(&folder, BEFORE).await;
    let store = Store::open(&path(&folder)).await.unwrap();
    let packages = store.packages(Shelf::default(), 9).await.unwrap();
    let told: Vec<_> = packages.iter().map(|row| (row.name.as_str(), row.created_ms)).collect();
    assert_eq!(told, [("acme/more", 6), ("acme/tools", 5)]);
    assert_eq!((packages[0].namespace.created_ms, packages[0].namespace.organization.as_deref()), (5, None));
    let versions = store.versions(&["acme/tools"]).await.unwrap();
    assert_eq!(versions.len(), 2);
    assert_ne!(versions[0].id, versions[1].id);
    assert_eq!(store.version_by_id(versions[0].id).await.unwrap().as_ref(), Some(&versions[0]));
}
