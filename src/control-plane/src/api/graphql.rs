//! What the older `circleci` command line asks in GraphQL: one call, over a schema with the names that its queries have.
//!
//! The schema as others read it is `assets/graphql.sdl`.

mod changes;
mod orbs;
mod questions;

use super::may::{May, Orbs, View};
use crate::{
    plane::{
        Plane,
        people::{Right, Who},
    },
    refusal::Refusal,
};
use actix_web::{
    ResponseError,
    web::{Data, Json, ServiceConfig, post, resource},
};
use async_graphql::{
    Context, EmptySubscription, Error, ErrorExtensions, Request, Response, Schema, ServerError, SimpleObject,
};
use changes::Changes;
use questions::Questions;
use std::{
    future::Future,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// So many bytes has a query at most.
const LONGEST: usize = 64 * 1024;
/// So many spreads of fragments: each is looked at wherever it comes, so that a few that spread each other are many
/// thousands. Asking for the whole schema takes eight.
const SPREADS: usize = 12;
/// So many braces and brackets that open: a few thousand within each other would overflow the stack, which ends the program.
const OPENED: usize = 256;
/// How deep a query may go: that for the whole schema goes down 13 fields.
const DEEPEST: usize = 20;
/// What a query may cost: a field is one, what is listed counts as often as it may come, and the dear ones say so.
const DEAREST: usize = 5_000;
/// What the source of an orb costs, and an organization that is looked for by its names.
const SOURCE: usize = 50;
/// What it costs to have an orb looked through.
const EXAMINED: usize = 500;
/// So many bytes of sources has an answer at most.
const MOST_OF_SOURCES: usize = 32 * 1024 * 1024;

static SCHEMA: LazyLock<Schema<Questions, Changes, EmptySubscription>> = LazyLock::new(|| {
    let schema = Schema::build(Questions, Changes, EmptySubscription);
    schema.limit_depth(DEEPEST).limit_complexity(DEAREST).finish()
});

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/graphql-unstable").route(post().to(answer)));
}

/// What is not even looked at is answered as what is wrong: of another status the older command line shows that alone.
async fn answer(caller: May<View, Orbs>, plane: Data<Plane>, asked: Json<Request>) -> Json<Response> {
    if let Some(why) = too_much(&asked.query) {
        return Json(Response::from_errors(vec![ServerError::new(why, None)]));
    }
    let asker = Asker {
        who: caller.who.clone(),
        plane: Arc::clone(&plane),
        sources_left: AtomicUsize::new(MOST_OF_SOURCES),
    };
    Json(SCHEMA.execute(asked.into_inner().data(asker)).await)
}

/// Why a query is not looked at: to find what it costs may take far longer than what it costs. What of it is in texts and
/// comments counts as well.
fn too_much(query: &str) -> Option<String> {
    let over = |number: usize, most: usize, what: &str| {
        (number > most).then(|| format!("a query has {most} {what} at most: give long texts as variables"))
    };
    over(query.len(), LONGEST, "bytes")
        .or_else(|| over(query.matches("...").count(), SPREADS, "spreads (`...`)"))
        .or_else(|| over(query.matches(['{', '[']).count(), OPENED, "of `{` and `[`"))
}

/// What something costs that comes so often. More than a query may cost is all the same, and so no product is too large for
/// a number; nor is a sum of as many as a query has room for.
fn weighed(times: usize, each: usize) -> usize {
    times.saturating_mul(each).min(DEAREST + 1)
}

/// Who asks, of which control plane, and how much they may still be sent.
struct Asker {
    who: Who,
    plane: Arc<Plane>,
    sources_left: AtomicUsize,
}

impl Asker {
    fn of<'c>(context: &Context<'c>) -> Result<&'c Self, Error> {
        context.data()
    }

    /// Whether they may do everything: such are those who publish.
    async fn administers(&self) -> Result<(), Refusal> {
        self.plane.allow(&self.who, Right::Administer, &super::may::Of::Everything).await
    }

    /// What came of a change: it is begun for those who may do everything, and for nobody else.
    async fn changed<T, P: From<Result<T, Refusal>>>(
        &self,
        change: impl Future<Output = Result<T, Refusal>>,
    ) -> P {
        let made = match self.administers().await {
            Ok(()) => change.await,
            Err(refusal) => Err(refusal),
        };
        made.into()
    }

    fn takes(&self, bytes: usize) -> Result<(), Error> {
        let left = |left: usize| left.checked_sub(bytes);
        let taken = self.sources_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        let message =
            format!("an answer has {MOST_OF_SOURCES} bytes of sources at most: ask for fewer at once");
        taken.map(drop).map_err(|_| Error::new(message))
    }
}

/// In the place of an answer.
fn error(refusal: Refusal) -> Error {
    Error::new(refusal.in_full()).extend_with(|_, more| more.set("code", code(&refusal)))
}

fn code(refusal: &Refusal) -> &'static str {
    refusal.status_code().canonical_reason().unwrap_or("Refused")
}

/// Why something was not done, or what is wrong.
#[derive(Debug, SimpleObject)]
struct Problem {
    message: String,
    #[graphql(name = "type")]
    kind: &'static str,
}

impl Problem {
    fn of(refusal: &Refusal) -> Self {
        Self { message: refusal.in_full(), kind: code(refusal) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_the_one_that_others_read() {
        let lines = |text: &str| {
            let lines = text.lines().map(|line| line.trim().to_owned());
            lines.filter(|line| !line.is_empty()).collect::<Vec<_>>()
        };
        let (written, own) = (include_str!("../../assets/graphql.sdl"), SCHEMA.sdl());
        assert!(lines(written) == lines(&own), "assets/graphql.sdl is to be:\n{own}");
    }
}
