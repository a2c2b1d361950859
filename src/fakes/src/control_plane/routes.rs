//! The routes of [`protocol::http`], as the real control plane answers them.

use crate::control_plane::{
    Shared,
    blobs::Blobs,
    state::{State, Task, found},
    stream::{Taken, take},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{AUTHORIZATION, CONTENT_RANGE, RANGE},
    web::{Bytes, Data, Json, Path, Query, ServiceConfig, get, post, put},
};
use protocol::{
    bundle::{Member, table_range},
    http::{
        Artifacts, Begin, Claim, ClaimedMany, Destinations, End, ErrorBody, Fail, Fenced, FindCache, Granted,
        Heartbeat, HeartbeatAnswer, Layers, MAX_UNCLAIMS, PersistLayer, PutBundle, SaveCache, SignedQuery,
        Store, StreamQuery, Tests, Unclaim,
    },
    ids::{Digest, Epoch, TaskId},
    transfer::{Artifact, Destination},
};
use std::time::Duration;

pub(crate) fn all(config: &mut ServiceConfig) {
    config
        .route("/api/v3/runner/claim", post().to(claim))
        .route("/api/v3/runner/heartbeat", post().to(heartbeat))
        .route("/api/v3/runner/unclaim", post().to(unclaim))
        .route("/api/v2/task/config", get().to(task_config))
        .route("/api/v2/task/event/fail", post().to(fail))
        .route("/api/v3/task/begin", post().to(begin))
        .route("/api/v3/task/stream", get().to(acknowledged))
        .route("/api/v3/task/stream", post().to(stream))
        .route("/api/v3/task/blobs", post().to(store))
        .route("/api/v3/task/artifacts", post().to(artifacts))
        .route("/api/v3/task/bundles", post().to(bundle))
        .route("/api/v3/task/tests", get().to(former_tests))
        .route("/api/v3/task/tests", post().to(tests))
        .route("/api/v3/task/cache/find", post().to(find_cache))
        .route("/api/v3/task/cache", post().to(save_cache))
        .route("/api/v3/task/layers", post().to(persist_layer))
        .route("/api/v3/task/layers", get().to(layers))
        .route("/api/v3/task/source", get().to(source))
        .route("/api/v3/task/end", post().to(end))
        .route("/blobs/fake/{digest}", put().to(put_blob))
        .route("/blobs/fake/{digest}", get().to(get_blob));
}

type Plane = Data<Shared>;

fn bearer(request: &HttpRequest) -> &str {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn refused() -> HttpResponse {
    HttpResponse::NotFound().finish()
}

fn known_class(plane: &Plane, request: &HttpRequest) -> bool {
    plane.with(|state| state.class_tokens.contains(bearer(request)))
}

/// Works on the task of the token, if its lease stands; `epoch`, where the body names one, must be the lease's too.
fn under_lease(
    plane: &Plane,
    request: &HttpRequest,
    epoch: Option<Epoch>,
    work: impl FnOnce(&mut State, TaskId) -> HttpResponse,
) -> HttpResponse {
    let Some((id, of_token)) = lease_of(bearer(request)) else { return refused() };
    plane.with(|state| {
        let Some(task) = state.tasks.get(&id) else { return refused() };
        let stands =
            task.spec.epoch == of_token && !task.fenced && epoch.is_none_or(|epoch| epoch == of_token);
        if stands { work(state, id) } else { fenced() }
    })
}

fn lease_of(token: &str) -> Option<(TaskId, Epoch)> {
    let (id, epoch) = token.strip_prefix("task:")?.split_once(':')?;
    Some((id.parse().ok()?, Epoch(epoch.parse().ok()?)))
}

fn fenced() -> HttpResponse {
    HttpResponse::Conflict().json(Fenced { message: "somebody else holds the task".to_owned() })
}

fn on_task(
    plane: &Plane,
    request: &HttpRequest,
    epoch: Epoch,
    work: impl FnOnce(&mut Task) -> HttpResponse,
) -> HttpResponse {
    under_lease(plane, request, Some(epoch), |state, id| work(state.task(id)))
}

fn done() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({}))
}

/// Counts a claim as long as its caller is there.
struct Held(Plane);

impl Held {
    fn new(plane: Plane) -> Self {
        plane.with(|state| state.held_claims += 1);
        Self(plane)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.with(|state| state.held_claims -= 1);
    }
}

async fn claim(plane: Plane, request: HttpRequest, body: Json<Claim>) -> HttpResponse {
    if !known_class(&plane, &request) {
        return refused();
    }
    let wait = Duration::from_millis(body.wait_ms.unwrap_or_default());
    let most = body.max_tasks.unwrap_or(1) as usize;
    let _held = Held::new(plane.clone());
    match (plane.until(wait, |state| state.claim(most)).await, body.max_tasks) {
        (None, _) => HttpResponse::NoContent().finish(),
        (Some(tasks), Some(_)) => HttpResponse::Ok().json(ClaimedMany { tasks }),
        (Some(tasks), None) => HttpResponse::Ok().json(&tasks[0]),
    }
}

async fn heartbeat(plane: Plane, request: HttpRequest, body: Json<Heartbeat>) -> HttpResponse {
    if !known_class(&plane, &request) {
        return refused();
    }
    plane.with(|state| state.heartbeats.push(body.tasks.clone()));
    let news = |state: &mut State| {
        let (canceled, fenced) = state.news(&body.tasks);
        let any = !canceled.is_empty() || !fenced.is_empty();
        any.then_some(HeartbeatAnswer { canceled, fenced })
    };
    let news = plane.until(Duration::from_millis(body.wait_ms), news).await;
    HttpResponse::Ok().json(news.unwrap_or_default())
}

async fn unclaim(plane: Plane, request: HttpRequest, body: Json<Unclaim>) -> HttpResponse {
    under_lease(&plane, &request, None, |state, id| {
        if body.task_id != id {
            return HttpResponse::BadRequest().json(ErrorBody { message: "another task's token".to_owned() });
        }
        let task = state.task(id);
        if task.begun || task.unclaims.len() as u32 >= MAX_UNCLAIMS {
            return HttpResponse::Conflict()
                .json(ErrorBody { message: "begun, or no retries left".to_owned() });
        }
        task.unclaims.push(body.reason.clone().unwrap_or_default());
        task.fenced = true;
        state.queue.push_back(id);
        done()
    })
}

async fn task_config(plane: Plane, request: HttpRequest) -> HttpResponse {
    under_lease(&plane, &request, None, |state, id| HttpResponse::Ok().json(&state.task(id).spec))
}

async fn fail(plane: Plane, request: HttpRequest, body: Json<Fail>) -> HttpResponse {
    under_lease(&plane, &request, None, |state, id| {
        state.task(id).failed = Some(body.into_inner());
        done()
    })
}

async fn begin(plane: Plane, request: HttpRequest, body: Json<Begin>) -> HttpResponse {
    on_task(&plane, &request, body.epoch, |task| {
        task.begun = true;
        task.begins += 1;
        HttpResponse::Ok().json(Granted { canceled: task.canceled })
    })
}

async fn acknowledged(plane: Plane, request: HttpRequest) -> HttpResponse {
    under_lease(&plane, &request, None, |state, id| {
        let task = state.task(id);
        task.asked += 1;
        HttpResponse::Ok().json(task.acknowledged())
    })
}

async fn stream(plane: Plane, request: HttpRequest, query: Query<StreamQuery>, body: Bytes) -> HttpResponse {
    under_lease(&plane, &request, Some(query.epoch), |state, id| match take(state.task(id), &body) {
        Taken::Stored(acknowledged) => HttpResponse::Ok().json(acknowledged),
        Taken::Rewind(acknowledged) => HttpResponse::Conflict().json(acknowledged),
        Taken::Broken(message) => {
            state.broken.push(format!("task {id}: {message}"));
            HttpResponse::BadRequest().json(ErrorBody { message })
        }
    })
}

async fn store(plane: Plane, request: HttpRequest, body: Json<Store>) -> HttpResponse {
    under_lease(&plane, &request, Some(body.epoch), |state, _| {
        let destination = |digest: &Digest| Destination {
            digest: digest.clone(),
            url: state.blobs.get(digest).is_none().then(|| Blobs::url(digest)),
            parts: None,
        };
        let destinations = body.contents.iter().map(|content| destination(&content.digest)).collect();
        HttpResponse::Ok().json(Destinations { destinations })
    })
}

async fn artifacts(plane: Plane, request: HttpRequest, body: Json<Artifacts>) -> HttpResponse {
    let Artifacts { epoch, artifacts } = body.into_inner();
    under_lease(&plane, &request, Some(epoch), |state, id| {
        let missing = artifacts.iter().filter(|artifact| state.blobs.get(&artifact.content.digest).is_none());
        let missing: Vec<_> =
            missing.map(|artifact| format!("artifact {} has no content", artifact.path)).collect();
        state.broken.extend(missing);
        state.task(id).take_artifacts(artifacts);
        done()
    })
}

async fn former_tests(plane: Plane, request: HttpRequest) -> HttpResponse {
    under_lease(&plane, &request, None, |_, _| HttpResponse::Ok().json(protocol::former::Former::default()))
}

async fn bundle(plane: Plane, request: HttpRequest, body: Json<PutBundle>) -> HttpResponse {
    let PutBundle { epoch, content, .. } = body.into_inner();
    under_lease(&plane, &request, Some(epoch), |state, id| {
        match state.blobs.get(&content.digest).and_then(artifacts_in) {
            Some(artifacts) => state.task(id).take_artifacts(artifacts),
            None => state.broken.push(format!("the content {} is no bundle", content.digest)),
        }
        done()
    })
}

fn artifacts_in(bundle: &[u8]) -> Option<Vec<Artifact>> {
    let table = table_range(bundle.len() as u64, *bundle.last_chunk()?).ok()?;
    let part = bundle.get(usize::try_from(table.start).ok()?..usize::try_from(table.end).ok()?)?;
    let members: Vec<Member> = serde_json::from_slice(&zstd::decode_all(part).ok()?).ok()?;
    Some(members.into_iter().map(|member| member.artifact).collect())
}

async fn tests(plane: Plane, request: HttpRequest, body: Json<Tests>) -> HttpResponse {
    on_task(&plane, &request, body.epoch, |task| {
        task.tests.insert(body.request, body.into_inner());
        done()
    })
}

async fn find_cache(plane: Plane, request: HttpRequest, body: Json<FindCache>) -> HttpResponse {
    under_lease(&plane, &request, None, |state, _| match state.find_cache(&body.keys, body.exact) {
        Some(found) => HttpResponse::Ok().json(found),
        None => HttpResponse::NoContent().finish(),
    })
}

async fn save_cache(plane: Plane, request: HttpRequest, body: Json<SaveCache>) -> HttpResponse {
    under_lease(&plane, &request, Some(body.epoch), |state, _| {
        let new = state.save_cache(body.into_inner());
        if new { HttpResponse::Created().json(serde_json::json!({})) } else { done() }
    })
}

async fn persist_layer(plane: Plane, request: HttpRequest, body: Json<PersistLayer>) -> HttpResponse {
    on_task(&plane, &request, body.epoch, |task| {
        task.layers.insert(body.request, body.into_inner().content);
        done()
    })
}

async fn layers(plane: Plane, request: HttpRequest) -> HttpResponse {
    under_lease(&plane, &request, None, |state, id| {
        let upstream = &state.task(id).upstream;
        let layers = upstream.iter().map(|(job, content)| found(job, content)).collect();
        HttpResponse::Ok().json(Layers { layers, writers: Vec::new() })
    })
}

async fn source(plane: Plane, request: HttpRequest) -> HttpResponse {
    under_lease(&plane, &request, None, |state, _| match &state.source {
        Some(content) => HttpResponse::Ok().json(found("source", content)),
        None => {
            HttpResponse::NotFound().json(ErrorBody { message: "the pipeline has no archive".to_owned() })
        }
    })
}

async fn end(plane: Plane, request: HttpRequest, body: Json<End>) -> HttpResponse {
    under_lease(&plane, &request, Some(body.epoch), |state, id| {
        let end = body.into_inner();
        let task = state.task(id);
        let before = task.ended.replace(end.clone());
        if before.is_some_and(|before| before.outcome != end.outcome) {
            state.broken.push(format!("task {id} ended twice, and differently"));
        }
        done()
    })
}

async fn put_blob(plane: Plane, path: Path<Digest>, query: Query<SignedQuery>, body: Bytes) -> HttpResponse {
    if query.signature != "right" {
        return HttpResponse::Forbidden()
            .json(ErrorBody { message: "the signature is wrong or too old".to_owned() });
    }
    let stored = plane.with(|state| state.blobs.put(body.to_vec()));
    if stored.digest == *path {
        return done();
    }
    HttpResponse::UnprocessableEntity()
        .json(ErrorBody { message: "the content has another digest".to_owned() })
}

async fn get_blob(plane: Plane, request: HttpRequest, path: Path<Digest>) -> HttpResponse {
    let bytes = plane.with(|state| state.blobs.get(&path).map(<[u8]>::to_vec));
    let Some(bytes) = bytes else { return refused() };
    let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
    let first =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match first.filter(|first| *first < bytes.len()) {
        None => HttpResponse::Ok().body(bytes),
        Some(first) => {
            let range = format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len());
            let rest = bytes[first..].to_vec();
            HttpResponse::PartialContent().insert_header((CONTENT_RANGE, range)).body(rest)
        }
    }
}
