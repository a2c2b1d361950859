//! Policies as uploads, and what they decided: the one that holds stays, and so does what still names it.

use super::*;
use crate::{BundleOfPolicies, DecisionRow, PolicyChange, PolicyText, PolicyTexts, WantedDecisions};
use protocol::policies::{Decision, Status};
use uuid::Uuid;

const ACME: &str = "gh/acme";

fn bundle(id: u128, created_ms: i64) -> BundleOfPolicies {
    let text = PolicyText { content: id.to_string(), created_ms, created_by: "ada".to_owned() };
    let policies = PolicyTexts::from([("p".to_owned(), text)]);
    BundleOfPolicies { id: Uuid::from_u128(id), organization: ACME.to_owned(), created_ms, policies }
}

fn decision(id: u128, bundle: u128, at_ms: i64, status: Status) -> DecisionRow {
    DecisionRow {
        id: Uuid::from_u128(id),
        organization: ACME.to_owned(),
        at_ms,
        bundle: Some(Uuid::from_u128(bundle)),
        branch: Some("main".to_owned()),
        project: "app".to_owned(),
        decision: Decision { status, ..Decision::default() },
        metadata: serde_json::json!({"build_number": id as u64}),
        input: "00".to_owned(),
        took_ms: 5,
    }
}

async fn change(store: &Store, change: PolicyChange) {
    store.write(None, vec![Write::Policy(change)]).await.unwrap();
}

async fn found(store: &Store, wanted: WantedDecisions) -> Vec<u128> {
    let rows = store.decisions(ACME, &wanted, 10).await.unwrap();
    rows.into_iter().map(|row| row.id.as_u128()).collect()
}

#[tokio::test]
async fn the_last_upload_holds_and_whether_it_decides_is_said_apart() {
    let (_folder, store) = store().await;
    assert_eq!(store.policy_rules(ACME).await.unwrap(), Default::default());
    change(&store, PolicyChange::Enabled(ACME.to_owned(), true)).await;
    for id in [1, 2] {
        change(&store, PolicyChange::Bundle(bundle(id, 10))).await;
    }
    let rules = store.policy_rules(ACME).await.unwrap();
    assert_eq!((rules.enabled, rules.policies), (true, bundle(2, 10).policies));
    assert!(store.has_policies_enabled(ACME).await.unwrap());
    assert!(!store.has_policies_enabled("gh/other").await.unwrap());
    change(&store, PolicyChange::Enabled(ACME.to_owned(), false)).await;
    assert!(!store.has_policies_enabled(ACME).await.unwrap());
    assert_eq!(store.policy_rules(ACME).await.unwrap().bundle, Some(Uuid::from_u128(2)));
}

#[tokio::test]
async fn decisions_are_found_by_what_is_asked_and_go_with_their_age_and_their_uploads_after_them() {
    let (_folder, store) = store().await;
    for id in 1..=3 {
        change(&store, PolicyChange::Bundle(bundle(id, 10))).await;
    }
    let rows = [(1, 1, 10, Status::Pass), (2, 2, 20, Status::HardFail), (3, 2, 30, Status::SoftFail)];
    for (id, bundle, at_ms, status) in rows {
        change(&store, PolicyChange::Decision(decision(id, bundle, at_ms, status).into())).await;
    }
    let all = WantedDecisions::default();
    assert_eq!(found(&store, all.clone()).await, [3, 2, 1]);
    assert_eq!(found(&store, WantedDecisions { offset: 2, ..all.clone() }).await, [1]);
    let hard = WantedDecisions { status: Some(Status::HardFail), ..all.clone() };
    assert_eq!(found(&store, hard).await, [2]);
    let between = WantedDecisions { after_ms: Some(10), before_ms: Some(30), ..all.clone() };
    assert_eq!(found(&store, between).await, [2]);
    for nothing in [
        WantedDecisions { branch: Some("dev".to_owned()), ..all.clone() },
        WantedDecisions { project: Some("other".to_owned()), ..all.clone() },
    ] {
        assert_eq!(found(&store, nothing).await, Vec::<u128>::new());
    }
    let one = store.decision(ACME, Uuid::from_u128(2)).await.unwrap();
    assert_eq!(one, Some(decision(2, 2, 20, Status::HardFail)));
    assert_eq!(store.decision("gh/other", Uuid::from_u128(2)).await.unwrap(), None);
    change(&store, PolicyChange::Forget { before_ms: 20, most: 10 }).await;
    assert_eq!(found(&store, all.clone()).await, [3, 2]);
    let has = async |id| store.policy_bundle(Uuid::from_u128(id)).await.unwrap().is_some();
    assert_eq!((has(1).await, has(2).await, has(3).await), (false, true, true));
    change(&store, PolicyChange::Forget { before_ms: 20, most: 1 }).await;
    assert_eq!(found(&store, all).await, [3]);
}

#[tokio::test]
async fn many_decisions_of_one_organization_are_no_reason_to_forget_anothers() {
    let (_folder, store) = store().await;
    for id in 1..=9 {
        let organization = if id % 4 == 1 { "gh/other" } else { ACME }.to_owned();
        let row = decision(id, 1, 10, Status::Pass);
        let row = DecisionRow { organization, bundle: None, ..row };
        change(&store, PolicyChange::Decision(row.into())).await;
    }
    let kept = async || {
        let all = WantedDecisions::default();
        let others = store.decisions("gh/other", &all, 10).await.unwrap();
        (found(&store, all).await, others.into_iter().map(|row| row.id.as_u128()).collect::<Vec<_>>())
    };
    change(&store, PolicyChange::Forget { before_ms: 0, most: 3 }).await;
    assert_eq!(kept().await, (vec![8, 7, 6], vec![9, 5, 1]));
    change(&store, PolicyChange::Forget { before_ms: 0, most: 2 }).await;
    assert_eq!(kept().await, (vec![8, 7], vec![9, 5]));
}
