//! Every call with every kind of token, and with none: open to whom the OpenAPI document says, and to nobody else.

use crate::{
    house::{House, ONE_JOB, OPERATOR, ask, claim_one},
    openapi::{DOCUMENT, documented, filled},
    page,
};
use serde_json::Value;

const APPROVER: &str = "approver's token";

/// Whoever calls: as the document names their right, and the header that they send.
type Caller = (&'static str, Option<(&'static str, String)>);

async fn callers(house: &House) -> Vec<Caller> {
    let bearer = |token: &str| Some(("Authorization", format!("Bearer {token}")));
    let class = house.token().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let cookie = page::signed_in(house).await;
    let cookie = cookie.trim().trim_start_matches("Cookie: ").to_owned();
    vec![
        ("nobody", None),
        ("stranger", bearer("another's token")),
        ("bearer", bearer(OPERATOR)),
        ("circleToken", Some(("Circle-Token", OPERATOR.to_owned()))),
        ("approver", bearer(APPROVER)),
        ("runner", bearer(&class)),
        ("task", bearer(&claimed.task_token)),
        ("page", Some(("Cookie", cookie))),
    ]
}

/// The rights that open a call; none of them: everybody may make it.
fn rights(call: &Value) -> Vec<&str> {
    let own = call.get("security").unwrap_or(&DOCUMENT["security"]).as_array().unwrap();
    own.iter().flat_map(|right| right.as_object().unwrap().keys().map(String::as_str)).collect()
}

/// Whether an answer is what those get who may not call: runners and tasks learn nothing, others are asked who they are.
fn turned_away(rights: &[&str], status: u16, body: &str) -> bool {
    match rights {
        ["runner" | "task"] => status == 404 && body.is_empty(),
        _ => status == 401,
    }
}

#[actix_web::test]
async fn every_call_is_open_to_those_whom_the_document_names_and_to_nobody_else() {
    let house = House::with(|settings| settings.approver_token = Some(APPROVER.to_owned())).await;
    let callers = callers(&house).await;
    let mut asked = 0;
    for (method, path) in documented() {
        let rights = rights(&DOCUMENT["paths"][&path][method.to_lowercase()]);
        for (right, header) in &callers {
            let token = header.as_ref().map(|(name, value)| (*name, value.as_str()));
            let (status, body) = ask(&house, &method, &filled(&path), token).await;
            let is_open = rights.is_empty() || rights.contains(right);
            assert_eq!(
                turned_away(&rights, status, &body),
                !is_open,
                "{right} {method} {path}: {status} {body}"
            );
            asked += 1;
        }
    }
    assert!(asked > 8 * 80, "{asked}");
    house.running.stop().await;
}
