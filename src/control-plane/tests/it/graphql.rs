//! What the older `circleci` command line asks in GraphQL, in texts as a client of that language sends them.

use crate::{
    house::{House, ONE_JOB, request},
    people::{person, project_token},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SOURCE: &str = "commands: {say: {steps: [run: echo said]}}\n";

/// With the token as all of `Authorization`, as that command line sends it.
async fn sent(house: &House, token: &str, query: &str, variables: Value) -> (u16, Value) {
    let body = json!({"query": query, "variables": variables}).to_string();
    let (status, text) =
        request(house, "POST", "/graphql-unstable", Some(("Authorization", token)), &body).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn asked(house: &House, token: &str, query: &str, variables: Value) -> Value {
    let (status, answer) = sent(house, token, query, variables).await;
    assert!(status == 200 && answer.get("errors").is_none(), "{query}: {answer}");
    answer["data"].clone()
}

async fn refused(house: &House, token: &str, query: &str, variables: Value) -> String {
    let (status, answer) = sent(house, token, query, variables).await;
    assert_eq!(status, 200, "{answer}");
    answer["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

const ORGANIZATION: &str = "query($orgName: String!, $vcsType: VCSType!) {
    organization(name: $orgName, vcsType: $vcsType) { id name vcsType }
}";
const CREATE_NAMESPACE: &str = "mutation($name: String!, $organizationId: UUID!) {
    createNamespace(name: $name, organizationId: $organizationId) { namespace { id } errors { message type } }
}";
const NAMESPACE: &str = "query($name: String!) { registryNamespace(name: $name) { id } }";
const CREATE_ORB: &str = "mutation($name: String!, $registryNamespaceId: UUID!, $isPrivate: Boolean!) {
    createOrb(name: $name, registryNamespaceId: $registryNamespaceId, isPrivate: $isPrivate) {
        orb { id } errors { message type }
    }
}";
const ORB: &str = "query ($name: String!, $namespace: String) {
    orb(name: $name) { id isPrivate } registryNamespace(name: $namespace) { id }
}";
const PUBLISH: &str =
    "mutation($config: String!, $orbName: String, $namespaceName: String, $version: String!) {
    publishOrb(orbName: $orbName, namespaceName: $namespaceName, orbYaml: $config, version: $version) {
        orb { version } errors { message }
    }
}";
const NEWEST: &str = "query($name: String!) { orb(name: $name) { versions(count: 1) { version } } }";
const PROMOTE: &str =
    "mutation($orbName: String, $namespaceName: String, $devVersion: String!, $semanticVersion: String!) {
    promoteOrb(orbName: $orbName, namespaceName: $namespaceName, devVersion: $devVersion, semanticVersion: $semanticVersion) {
        orb { version source } errors { message }
    }
}";
const INFO: &str = "query($orbVersionRef: String!) {
    orbVersion(orbVersionRef: $orbVersionRef) {
        id version source createdAt
        orb {
            id createdAt name
            namespace { name }
            categories { id name }
            statistics { last30DaysBuildCount, last30DaysProjectCount, last30DaysOrganizationCount }
            versions(count: 200) { createdAt version }
        }
    }
}";
const LIST: &str = "query ListOrbs ($after: String!, $certifiedOnly: Boolean!) {
    orbs(first: 20, after: $after, certifiedOnly: $certifiedOnly) {
        totalCount,
        edges { cursor node {
            name
            statistics { last30DaysBuildCount, last30DaysProjectCount, last30DaysOrganizationCount }
            versions(count: 1) { version, source }
        } }
        pageInfo { hasNextPage }
    }
}";
const LIST_OF_NAMESPACE: &str =
    "query namespaceOrbs ($namespace: String, $after: String!, $view: OrbListViewType) {
    registryNamespace(name: $namespace) {
        name id
        orbs(first: 20, after: $after, view: $view) {
            edges { cursor node {
                versions { version }
                name
                statistics { last30DaysBuildCount, last30DaysProjectCount, last30DaysOrganizationCount }
            } }
            totalCount
            pageInfo { hasNextPage }
        }
    }
}";
const VALIDATE: &str = "query ValidateOrb ($config: String!, $owner: UUID) {
    orbConfig(orbYaml: $config, ownerId: $owner) { valid, errors { message }, sourceYaml, outputYaml }
}";
const CATEGORIES: &str = "query ListOrbCategories($after: String!) {
    orbCategories(first: 20, after: $after) {
        totalCount edges { cursor node { id name } } pageInfo { hasNextPage }
    }
}";

/// A house with an admin of everything, whose token has no blank, and one of the organization.
async fn place() -> (House, String, String) {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let boss = person(&house, "boss", &[("*", "admin")]).await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    (house, boss, ada)
}

async fn publish(house: &House, token: &str, version: &str, source: &str) -> Value {
    let variables =
        json!({"config": source, "orbName": "tools", "namespaceName": "acme", "version": version});
    asked(house, token, PUBLISH, variables).await["publishOrb"].clone()
}

#[actix_web::test]
async fn a_namespace_and_an_orb_are_made_and_published_and_promoted() {
    let (house, boss, ada) = place().await;
    let organization = json!({"orgName": "acme", "vcsType": "GITHUB"});
    let found = asked(&house, &ada, ORGANIZATION, organization).await["organization"].clone();
    assert_eq!((&found["name"], &found["vcsType"]), (&json!("acme"), &json!("GITHUB")));
    let by_id = "query($orgId: ID!) { organization(id: $orgId) { id name vcsType } }";
    assert_eq!(asked(&house, &ada, by_id, json!({"orgId": found["id"]})).await["organization"], found);
    let new = json!({"name": "acme", "organizationId": found["id"]});
    let made = asked(&house, &boss, CREATE_NAMESPACE, new.clone()).await;
    assert_eq!(made["createNamespace"]["errors"], json!([]));
    let made = asked(&house, &boss, CREATE_NAMESPACE, new).await;
    assert_eq!(made["createNamespace"]["errors"][0]["type"], "Conflict");
    let namespace =
        asked(&house, &ada, NAMESPACE, json!({"name": "acme"})).await["registryNamespace"]["id"].clone();
    let new = json!({"name": "tools", "registryNamespaceId": namespace, "isPrivate": false});
    let orb = asked(&house, &boss, CREATE_ORB, new).await["createOrb"]["orb"]["id"].clone();
    let names = json!({"name": "acme/tools", "namespace": "acme"});
    assert_eq!(asked(&house, &ada, ORB, names).await["orb"], json!({"id": orb, "isPrivate": false}));

    assert_eq!(
        publish(&house, &boss, "dev:first", SOURCE).await,
        json!({"orb": {"version": "dev:first"}, "errors": []})
    );
    let newest = json!({"name": "acme/tools"});
    assert_eq!(asked(&house, &boss, NEWEST, newest.clone()).await["orb"]["versions"], json!([]));
    let promotion = json!({"orbName": "tools", "namespaceName": "acme", "devVersion": "dev:first", "semanticVersion": "0.0.1"});
    let promoted = asked(&house, &boss, PROMOTE, promotion).await["promoteOrb"].clone();
    assert_eq!(promoted, json!({"orb": {"version": "0.0.1", "source": SOURCE}, "errors": []}));
    assert_eq!(asked(&house, &boss, NEWEST, newest).await["orb"]["versions"], json!([{"version": "0.0.1"}]));
    let again = publish(&house, &boss, "0.0.1", "commands: {}\n").await;
    assert!(again["errors"][0]["message"].as_str().unwrap().contains("published already"), "{again}");
    house.running.stop().await;
}

#[actix_web::test]
async fn orbs_are_listed_shown_and_looked_through() {
    let (house, boss, ada) = place().await;
    publish(&house, &boss, "1.0.0", SOURCE).await;
    publish(&house, &boss, "1.1.0", SOURCE).await;
    let info = asked(&house, &ada, INFO, json!({"orbVersionRef": "acme/tools@volatile"})).await["orbVersion"]
        .clone();
    assert_eq!(
        (&info["version"], &info["source"], &info["orb"]["namespace"]["name"]),
        (&json!("1.1.0"), &json!(SOURCE), &json!("acme"))
    );
    let versions: Vec<_> =
        info["orb"]["versions"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(versions, ["1.1.0", "1.0.0"]);
    assert_eq!(
        (&info["orb"]["categories"], &info["orb"]["statistics"]["last30DaysBuildCount"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(
        asked(&house, &ada, INFO, json!({"orbVersionRef": "acme/tools@7"})).await["orbVersion"],
        Value::Null
    );

    let listed = asked(&house, &ada, LIST, json!({"after": "", "certifiedOnly": true})).await["orbs"].clone();
    assert_eq!((&listed["totalCount"], &listed["pageInfo"]["hasNextPage"]), (&json!(1), &json!(false)));
    assert_eq!(listed["edges"][0]["node"]["versions"], json!([{"version": "1.1.0", "source": SOURCE}]));
    let after = json!({"after": listed["edges"][0]["cursor"], "certifiedOnly": false});
    assert_eq!(asked(&house, &ada, LIST, after).await["orbs"]["edges"], json!([]));
    let of = |view: &str| json!({"namespace": "acme", "after": "", "view": view});
    let listed = asked(&house, &ada, LIST_OF_NAMESPACE, of("PUBLIC_ONLY")).await["registryNamespace"].clone();
    assert_eq!(
        (&listed["name"], &listed["orbs"]["edges"][0]["node"]["name"]),
        (&json!("acme"), &json!("acme/tools"))
    );
    let private = asked(&house, &ada, LIST_OF_NAMESPACE, of("PRIVATE_ONLY")).await;
    assert_eq!(private["registryNamespace"]["orbs"]["edges"], json!([]));
    let none = asked(&house, &ada, CATEGORIES, json!({"after": ""})).await["orbCategories"].clone();
    assert_eq!(none, json!({"totalCount": 0, "edges": [], "pageInfo": {"hasNextPage": false}}));

    let right = asked(&house, &ada, VALIDATE, json!({"config": SOURCE})).await["orbConfig"].clone();
    assert_eq!(right, json!({"valid": true, "errors": [], "sourceYaml": SOURCE, "outputYaml": SOURCE}));
    let wrong = json!({"config": "commands: {c: {steps: [none]}}\n"});
    let wrong = asked(&house, &ada, VALIDATE, wrong).await["orbConfig"].clone();
    assert!(
        wrong["valid"] == false && wrong["errors"][0]["message"].as_str().unwrap().contains("orb.yml:1"),
        "{wrong}"
    );
    house.running.stop().await;
}

#[actix_web::test]
async fn changes_are_for_those_who_may_do_everything_and_what_is_not_offered_says_so() {
    let (house, boss, ada) = place().await;
    let denied = publish(&house, &ada, "1.0.0", SOURCE).await;
    assert!(
        denied["orb"].is_null() && denied["errors"][0]["message"].as_str().unwrap().contains("`admin`"),
        "{denied}"
    );
    let id = "01a20a77-725c-7754-917b-f019c337a449";
    for (query, field, words) in [
        (
            "mutation($id: UUID!) { deleteNamespaceAndRelatedOrbs(namespaceId: $id) { deleted errors { type message } } }",
            "deleteNamespaceAndRelatedOrbs",
            "keeps its name",
        ),
        (
            "mutation($id: UUID!) { renameNamespace(namespaceId: $id, newName: \"b\") { namespace { id } errors { message type } } }",
            "renameNamespace",
            "keeps its name",
        ),
        (
            "mutation($id: UUID!) { setOrbListStatus(orbId: $id, list: false) { listed errors { message type } } }",
            "setOrbListStatus",
            "is listed",
        ),
        (
            "mutation($id: UUID!) { addCategorizationToOrb(orbId: $id, categoryId: $id) { orbId categoryId errors { message type } } }",
            "addCategorizationToOrb",
            "no categories",
        ),
    ] {
        let told = asked(&house, &boss, query, json!({"id": id})).await[field]["errors"][0].clone();
        assert!(told["type"] == "Bad Request" && told["message"].as_str().unwrap().contains(words), "{told}");
    }
    let mallory = person(&house, "mallory", &[("gh/other", "admin")]).await;
    let organization = json!({"orgName": "acme", "vcsType": "GITHUB"});
    assert_eq!(
        refused(&house, &mallory, ORGANIZATION, organization).await,
        "there is no organization gh/acme"
    );
    assert_eq!(sent(&house, "another's-token", NAMESPACE, json!({"name": "acme"})).await.0, 401);
    // Nowhere else is a token all of `Authorization`.
    assert_eq!(request(&house, "GET", "/api/v2/me", Some(("Authorization", &ada)), "").await.0, 401);
    house.running.stop().await;
}

#[actix_web::test]
async fn an_orb_of_another_registry_is_imported_as_it_is() {
    let (house, boss, _) = place().await;
    let import = "mutation($name: String!) { importNamespace(name: $name) { namespace { id } errors { message type } } }";
    let namespace =
        asked(&house, &boss, import, json!({"name": "else"})).await["importNamespace"]["namespace"]["id"]
            .clone();
    let import = "mutation($name: String!, $registryNamespaceId: UUID!) {
        importOrb(name: $name, registryNamespaceId: $registryNamespaceId) { orb { id } errors { message type } }
    }";
    let orb = asked(&house, &boss, import, json!({"name": "tools", "registryNamespaceId": namespace})).await
        ["importOrb"]["orb"]["id"]
        .clone();
    let import = "mutation($config: String!, $orbId: UUID!, $version: String!) {
        importOrbVersion(orbId: $orbId, orbYaml: $config, version: $version) { orb { version } errors { message } }
    }";
    let source = "orbs: {x: acme/none@1}\ncommands: {c: {steps: [x/y]}}\n";
    let made =
        asked(&house, &boss, import, json!({"config": source, "orbId": orb, "version": "1.0.0"})).await;
    assert_eq!(made["importOrbVersion"], json!({"orb": {"version": "1.0.0"}, "errors": []}));
    assert_eq!(house.operator.orb("else/tools@1").await.unwrap().source, source);
    house.running.stop().await;
}

#[actix_web::test]
async fn the_schema_is_told_and_what_asks_for_too_much_is_refused() {
    let (house, _, ada) = place().await;
    let schema = "query { __schema { queryType { name } mutationType { name } types { name kind fields { name \
                  args { name type { name ofType { name ofType { name ofType { name } } } } } type { name } } } } me { login } }";
    let told = asked(&house, &ada, schema, json!({})).await;
    assert_eq!(
        (&told["__schema"]["queryType"]["name"], &told["me"]["login"]),
        (&json!("Query"), &json!("ada"))
    );
    let nested = |times: usize| {
        let (open, close) = ("versions(count: 1) { orb { ".repeat(times), "} } ".repeat(times));
        format!("query {{ orb(name: \"a/b\") {{ {open} id {close} }} }}")
    };
    assert!(asked(&house, &ada, &nested(5), json!({})).await["orb"].is_null());
    let message = refused(&house, &ada, &nested(12), json!({})).await;
    assert!(message.contains("too deep"), "{message}");
    let dear = "query { orbs(first: 100) { edges { node { versions(count: 100) { source } } } } }";
    let message = refused(&house, &ada, dear, json!({})).await;
    assert!(message.contains("complex"), "{message}");
    let examined =
        (0..11).map(|n| format!("a{n}: orbConfig(orbYaml: \"x\") {{ valid }} ")).collect::<String>();
    assert!(refused(&house, &ada, &format!("query {{ {examined} }}"), json!({})).await.contains("complex"));
    assert!(refused(&house, &ada, "query { nothing }", json!({})).await.contains("nothing"));
    house.running.stop().await;
}

/// As programs that show schemas ask for one.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema {
    queryType { name } mutationType { name } subscriptionType { name } types { ...FullType }
    directives { name description locations args { ...InputValue } }
} }
fragment FullType on __Type {
    kind name description
    fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
    inputFields { ...InputValue }
    interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
    kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

#[actix_web::test]
async fn a_query_is_not_looked_at_that_would_take_long_or_be_too_much_for_a_stack() {
    let (house, _, ada) = place().await;
    // Each fragment spreads the next one three times: 3^30 of the last one.
    let spreads =
        (0..30).map(|n| format!("fragment f{n} on Query {{ {} }} ", format!("...f{} ", n + 1).repeat(3)));
    let spreads =
        format!("{{ ...f0 }} {} fragment f30 on Query {{ me {{ login }} }}", spreads.collect::<String>());
    let lists = format!("{{ orb(name: {}{}) {{ id }} }}", "[".repeat(20_000), "]".repeat(20_000));
    let objects = format!("{{ orb(name: {}1{}) {{ id }} }}", "{a: ".repeat(5_000), "}".repeat(5_000));
    let long = format!("{{ me {{ login }} }} # {}", "x".repeat(64 * 1024));
    let begun = Instant::now();
    for (query, named) in [
        (&spreads, "12 spreads"),
        (&lists, "256 of `{` and `[`"),
        (&objects, "256 of `{` and `[`"),
        (&long, "65536 bytes"),
    ] {
        let message = refused(&house, &ada, query, json!({})).await;
        assert!(message.contains(named) && message.contains("as variables"), "{message}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(asked(&house, &ada, INTROSPECTION, json!({})).await["__schema"]["types"].is_array());
    let orb = format!("{SOURCE}# {}\n", "{[".repeat(64 * 1024));
    assert_eq!(asked(&house, &ada, VALIDATE, json!({"config": orb})).await["orbConfig"]["valid"], true);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_costs_more_than_a_number_holds_is_refused_as_what_costs_too_much() {
    let (house, _, ada) = place().await;
    let chain = |counts: &[u32]| {
        let versions: Vec<_> = counts.iter().map(|count| format!("versions(count: {count}) {{ ")).collect();
        let close = "} ".repeat(counts.len() * 2 - 1);
        format!("orb(name: \"a/b\") {{ {}version {close}}} ", versions.join("orb { "))
    };
    // Together a little more than 2^64.
    let thousands = |number: usize, last: u32| [vec![1000; number], vec![last]].concat();
    let chains = [
        thousands(6, 17),
        thousands(5, 444),
        thousands(4, 741),
        thousands(3, 69),
        thousands(2, 704),
        vec![546, 1000],
        vec![100],
    ];
    let wraps: String =
        chains.iter().enumerate().map(|(n, counts)| format!("a{n}: {}", chain(counts))).collect();
    let message = refused(&house, &ada, &format!("{{ {wraps} }}"), json!({})).await;
    assert!(message.contains("complex"), "{message}");
    let dear = format!("{{ {} }}", chain(&thousands(6, 1000)));
    assert!(refused(&house, &ada, &dear, json!({})).await.contains("complex"));
    assert!(asked(&house, &ada, &format!("{{ {} }}", chain(&[10, 10])), json!({})).await["orb"].is_null());
    let organizations = (0..100)
        .map(|n| format!("a{n}: organization(name: \"acme\", vcsType: GITHUB) {{ id }} "))
        .collect::<String>();
    let message = refused(&house, &ada, &format!("{{ {organizations} }}"), json!({})).await;
    assert!(message.contains("complex"), "{message}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_token_of_a_project_sees_orbs_and_is_nobody() {
    let (house, boss, _) = place().await;
    publish(&house, &boss, "1.0.0", SOURCE).await;
    let badge = project_token(&house, "gh/acme/shop", "view-builds").await;
    let newest = asked(&house, &badge, NEWEST, json!({"name": "acme/tools"})).await;
    assert_eq!(newest["orb"]["versions"], json!([{"version": "1.0.0"}]));
    let nobody = refused(&house, &badge, "{ me { login } }", json!({})).await;
    assert!(nobody.contains("this token is nobody's"), "{nobody}");
    let organization = json!({"orgName": "acme", "vcsType": "GITHUB"});
    assert!(refused(&house, &badge, ORGANIZATION, organization).await.contains("there is no organization"));
    let denied = publish(&house, &badge, "2.0.0", SOURCE).await["errors"][0].clone();
    assert!(denied["message"].as_str().unwrap().contains("does not open this"), "{denied}");
    let status = project_token(&house, "gh/acme/shop", "status").await;
    assert_eq!(sent(&house, &status, NEWEST, json!({"name": "acme/tools"})).await.0, 403);
    house.running.stop().await;
}
