//! Who may call, and the runner API's public shapes.

use crate::house::{House, ONE_JOB, claim, claim_one, class, data_dir, get, log, settings};
use client::ClientError;
use control_plane::{StartError, start};
use protocol::api::{Resource, Token};
use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};
use tempfile::TempDir;

#[actix_web::test]
async fn a_refused_runner_token_is_answered_404_with_nothing() {
    let house = House::new().await;
    let error = house.transport.runner("nonsense").claim(&claim(1, 0)).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    let bearer = Some(("Authorization", "Bearer nonsense"));
    assert_eq!(get(&house, "/api/v2/task/config", bearer).await, (404, String::new()));
    assert_eq!(get(&house, "/api/v3/task/stream", None).await, (404, String::new()));
    house.running.stop().await;
}

#[actix_web::test]
async fn an_operator_is_known_by_each_kind_of_header_and_nobody_else_is() {
    let folder = TempDir::new().unwrap();
    let house = House::over(folder, |settings| settings.operator_token = Some("secret".to_owned())).await;
    let path = "/api/v3/runner/resource?namespace=acme";
    for header in [
        ("Authorization", "Bearer secret"),
        ("Authorization", "Basic c2VjcmV0Og=="),
        ("Circle-Token", "secret"),
    ] {
        assert_eq!(get(&house, path, Some(header)).await.0, 200, "{header:?}");
    }
    let (status, body) = get(&house, path, None).await;
    assert!(status == 401 && body.starts_with("{\"message\":\"Unauthorized"), "{body}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_runner_token_opens_nothing_of_an_operators() {
    let house = House::new().await;
    let token = format!("Bearer {}", house.token().await);
    assert_eq!(get(&house, "/api/v3/runner?namespace=acme", Some(("Authorization", &token))).await.0, 401);
    house.running.stop().await;
}

#[actix_web::test]
async fn classes_and_tokens_are_made_listed_and_removed() {
    let house = House::new().await;
    let operator = &house.operator;
    let double = Resource { id: None, resource_class: class(), description: String::new(), max_tasks: None };
    let error = operator.create_resource(&double).await.unwrap_err();
    assert!(error.to_string().contains("resource class already exists"), "{error}");
    let token = house.token().await;
    let classes = operator.resources("acme").await.unwrap();
    let id = classes[0].id.clone().unwrap();
    let error = operator.delete_resource(&id, false).await.unwrap_err();
    assert!(matches!(error, ClientError::Conflict(_)), "{error:?}");
    let tokens = operator.tokens(&class()).await.unwrap();
    assert_eq!((tokens.len(), tokens[0].token.as_ref()), (1, None));
    operator.delete_token(tokens[0].id.as_ref().unwrap()).await.unwrap();
    let refused = house.transport.runner(&token).claim(&claim(1, 0)).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { .. }));
    house.token().await;
    operator.delete_resource(&id, true).await.unwrap();
    assert!(operator.resources("acme").await.unwrap().is_empty());
    house.running.stop().await;
}

#[actix_web::test]
async fn a_token_of_a_class_that_is_not_there_is_refused() {
    let house = House::new().await;
    let class = "acme/other".parse().unwrap();
    let token =
        Token { id: None, resource_class: class, nickname: String::new(), token: None, created_at: None };
    let error = house.operator.create_token(&token).await.unwrap_err();
    assert!(error.to_string().contains("acme/other"), "{error}");
    house.running.stop().await;
}

#[actix_web::test]
async fn instances_and_counts_are_shown_in_the_public_shape() {
    let house = House::new().await;
    let config = ONE_JOB.replace("machine: true", "machine: true\n    parallelism: 3");
    house.pipeline(&config).await;
    claim_one(&house.runner().await).await;
    let operator = Some(("Circle-Token", crate::house::OPERATOR));
    let (_, body) = get(&house, "/api/v3/runner?resource-class=acme/linux", operator).await;
    assert!(body.contains("\"name\":\"runner-1\"") && body.contains("\"last_used\":\"20"), "{body}");
    let (_, body) = get(&house, "/api/v3/runner/tasks?resource-class=acme/linux", operator).await;
    assert_eq!(body, "{\"unclaimed_task_count\":2}");
    let (_, body) = get(&house, "/api/v3/runner/tasks/running?resource-class=acme/linux", operator).await;
    assert_eq!(body, "{\"running_runner_tasks\":1}");
    assert_eq!(get(&house, "/api/v3/runner", operator).await.0, 400);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_data_directory_serves_one_control_plane_at_a_time() {
    let house = House::new().await;
    let error = start(settings(&house.folder), log()).await.unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&error, StartError::Locked { process, .. } if *process == pid), "{error}");
    let house = house.again(|_| {}).await;
    house.running.stop().await;
}

#[actix_web::test]
async fn an_address_in_use_and_a_missing_task_agent_are_named() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bad = settings(&folder);
    bad.listen = taken.local_addr().unwrap();
    let error = start(bad, log()).await.unwrap_err().to_string();
    assert!(error.contains(&taken.local_addr().unwrap().to_string()), "{error}");
    let mut bad = settings(&folder);
    bad.agent_program = folder.path().join("nowhere");
    let error = start(bad, log()).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[actix_web::test]
async fn a_store_that_is_no_store_is_refused_and_not_changed() {
    let folder = TempDir::new().unwrap();
    let path = data_dir(&folder).join("store.db");
    fs::create_dir_all(data_dir(&folder)).unwrap();
    fs::write(&path, b"precious notes, and no database at all").unwrap();
    let error = start(settings(&folder), log()).await.unwrap_err();
    assert!(matches!(error, StartError::Store(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious notes, and no database at all");
}

#[actix_web::test]
async fn the_operators_token_is_made_once_and_readable_for_its_owner_only() {
    let folder = TempDir::new().unwrap();
    let mut settings = settings(&folder);
    settings.operator_token = None;
    let running = start(settings.clone(), log()).await.unwrap();
    let (token, path) = (running.operator_token.clone(), data_dir(&folder).join("operator-token"));
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), token);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    running.stop().await;
    let again = start(settings, log()).await.unwrap();
    assert_eq!(again.operator_token, token);
    again.stop().await;
}
