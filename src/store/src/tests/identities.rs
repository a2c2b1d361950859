//! Who people are at a provider: one person for each, and sign-ins that end with it.

use super::store;
use crate::{ApiTokenRow, Bearer, IdentityRow, PersonRow, Rights, Store, StoreError, Write};
use uuid::Uuid;

const ADA: Uuid = Uuid::from_u128(1);
const EVE: Uuid = Uuid::from_u128(2);

fn identity(person: Uuid, subject: Option<&str>, email: Option<&str>) -> IdentityRow {
    IdentityRow {
        person,
        issuer: "https://id.example".to_owned(),
        subject: subject.map(str::to_owned),
        email: email.map(str::to_owned),
        groups: vec!["one".to_owned(), "two, with a comma".to_owned()],
        signed_in_ms: subject.map(|_| 7),
    }
}

fn token(person: Uuid, expires_ms: Option<i64>) -> ApiTokenRow {
    let id = Uuid::now_v7();
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(id.as_bytes());
    let (name, prefix) = ("n".to_owned(), "p".to_owned());
    ApiTokenRow {
        id,
        bearer: Bearer::Person(person),
        name,
        prefix,
        hash,
        created_ms: 1,
        used_ms: None,
        expires_ms,
    }
}

async fn write(store: &Store, changes: Vec<Rights>) -> Result<Vec<u64>, StoreError> {
    store.write(None, changes.into_iter().map(Write::Rights).collect()).await
}

async fn two_people(store: &Store) {
    let person = |id, login: &str| {
        Rights::Person(PersonRow { id, login: login.to_owned(), name: login.to_owned(), created_ms: 1 })
    };
    write(store, vec![person(ADA, "ada"), person(EVE, "eve")]).await.unwrap();
}

#[tokio::test]
async fn an_identity_is_read_as_it_was_written_and_takes_the_place_of_the_one_before() {
    let (_folder, store) = store().await;
    two_people(&store).await;
    for row in
        [identity(ADA, None, Some("ada@example.org")), identity(ADA, Some("s"), Some("ada@example.org"))]
    {
        write(&store, vec![Rights::Identity(row.clone())]).await.unwrap();
        assert_eq!(store.identities().await.unwrap(), [row]);
    }
}

#[tokio::test]
async fn an_identity_that_is_somebodys_is_nobody_elses() {
    let (_folder, store) = store().await;
    two_people(&store).await;
    let own = identity(ADA, Some("s"), Some("ada@example.org"));
    write(&store, vec![Rights::Identity(own.clone())]).await.unwrap();
    let hers = identity(EVE, Some("t"), None);
    write(&store, vec![Rights::Identity(hers.clone())]).await.unwrap();
    for taken in [identity(EVE, Some("s"), None), identity(EVE, None, Some("ada@example.org"))] {
        let error = write(&store, vec![Rights::Identity(taken)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    }
    assert_eq!(store.identities().await.unwrap(), [own, hers]);
}

#[tokio::test]
async fn who_is_nobody_elsewhere_any_more_has_tokens_and_no_sign_in() {
    let (_folder, store) = store().await;
    two_people(&store).await;
    let (kept, ended, others) = (token(ADA, None), token(ADA, Some(9)), token(EVE, Some(9)));
    let tokens = [&kept, &ended, &others].map(|row| Rights::Token(row.clone()));
    write(&store, vec![Rights::Identity(identity(ADA, Some("s"), None))]).await.unwrap();
    write(&store, tokens.into()).await.unwrap();
    write(&store, vec![Rights::RemoveIdentity(ADA)]).await.unwrap();
    assert_eq!(store.identities().await.unwrap(), []);
    let mut left = store.api_tokens().await.unwrap();
    left.sort_by_key(|row| row.id);
    assert_eq!(left, [kept, others]);
    write(&store, vec![Rights::Identity(identity(ADA, Some("s"), None)), Rights::RemovePerson(ADA)])
        .await
        .unwrap();
    assert_eq!((store.identities().await.unwrap(), store.people().await.unwrap().len()), (vec![], 1));
}
