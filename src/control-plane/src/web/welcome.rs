//! The first admin: whoever opens the link that a new control plane prints says who they are, once, and gets a token.

use super::{
    response::{NoPage, Sheet, page as html},
    session,
};
use crate::{
    plane::{
        Plane,
        token::{TokenHash, are_same, hash, new_token},
    },
    refusal::Refusal,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;
use serde::Deserialize;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So long the link is good.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The one link, as long as nobody has used it. It is in memory alone: another start makes another one.
#[derive(Debug, Default)]
pub(crate) struct Welcome {
    key: Mutex<Option<(TokenHash, Instant)>>,
}

impl Welcome {
    /// A new one, and the key that its link ends with.
    pub(crate) fn new() -> (Self, String) {
        let key = new_token();
        let held = Some((hash(&key), Instant::now()));
        (Self { key: Mutex::new(held) }, key)
    }

    /// Whether this key opens it still.
    fn knows(&self, key: &str) -> bool {
        let held = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        held.is_some_and(|(known, since)| are_same(&known, &hash(key)) && since.elapsed() < LIFE)
    }

    /// Uses it up: of several who come with it, one gets it.
    fn take(&self, key: &str) -> Option<(TokenHash, Instant)> {
        if !self.knows(key) {
            return None;
        }
        self.key.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// It came to nothing: it is good again.
    fn give_back(&self, held: (TokenHash, Instant)) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct Page<'p> {
    sheet: &'p Sheet,
    key: &'p str,
    login: &'p str,
    token: &'p str,
}

fn used_up() -> NoPage {
    Refusal::Missing(
        "this link was used already, or is too old: the server prints another when it starts".to_owned(),
    )
    .into()
}

/// `GET /welcome/{key}`: asks who it is, and changes nothing.
pub(crate) async fn page(
    request: HttpRequest,
    plane: web::Data<Plane>,
    key: web::Path<String>,
) -> Result<HttpResponse, NoPage> {
    if !plane.welcome.knows(&key) || !plane.access.people().is_empty() {
        return Err(used_up());
    }
    let sheet = &Sheet::of(&request);
    Ok(html(StatusCode::OK, sheet, &Page { sheet, key: &key, login: "", token: "" }))
}

/// Who the first admin is.
#[derive(Deserialize)]
pub(crate) struct First {
    login: String,
}

/// `POST /welcome/{key}`: makes them known, and shows their token this once.
pub(crate) async fn enter(
    request: HttpRequest,
    plane: web::Data<Plane>,
    key: web::Path<String>,
    form: web::Form<First>,
) -> Result<HttpResponse, NoPage> {
    // Whoever the operator made known first is the first.
    let held = plane.welcome.take(&key).filter(|_| plane.access.people().is_empty()).ok_or_else(used_up)?;
    let login = form.login.trim();
    let made = plane.clone().into_inner().add_first(login).await;
    let token = made.inspect_err(|_| plane.welcome.give_back(held))?;
    let sheet = &Sheet::of(&request);
    let mut answer = html(StatusCode::CREATED, sheet, &Page { sheet, key: &key, login, token: &token });
    if let Some(cookie) = session::cookie(&request, &plane, &token).and_then(|(_, text)| text.parse().ok()) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_used_once_and_good_again_where_nothing_came_of_it() {
        let (welcome, key) = Welcome::new();
        assert!(welcome.knows(&key) && !welcome.knows("another") && welcome.take("another").is_none());
        let held = welcome.take(&key).unwrap();
        assert!(!welcome.knows(&key) && welcome.take(&key).is_none());
        welcome.give_back(held);
        assert!(welcome.knows(&key));
        let old = Instant::now().checked_sub(LIFE).unwrap();
        welcome.give_back((held.0, old));
        assert!(!welcome.knows(&key));
        assert!(!Welcome::default().knows(&key));
    }
}
