//! Published orbs: what may be written again, and what may not.

use super::*;
use crate::OrbRow;

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
