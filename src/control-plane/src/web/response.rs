//! Pages as HTTP answers: what they may load, what is kept of them, and what is said where there is none.

use super::session::{SignIn, form_key};
use crate::{
    plane::{Plane, clock::wall_ms, token::new_token},
    refusal::Refusal,
    web::in_url,
};
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use askama::Template;

/// What every page's template has.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// Carried by its style and script, and by no other.
    pub(crate) nonce: String,
    /// When it was made.
    pub(crate) now: i64,
    /// Whether the script of an open page asks, which has style and script already.
    pub(crate) live: bool,
    /// Carried by its forms.
    pub(crate) key: String,
}

impl Sheet {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let live = request.headers().contains_key("X-Live");
        Self { live, key: form_key(request), ..Self::new() }
    }

    fn new() -> Self {
        Self { nonce: new_token(), now: wall_ms(), live: false, key: String::new() }
    }
}

/// A page with the rules it is shown under.
pub(crate) fn page(status: StatusCode, sheet: &Sheet, template: &impl Template) -> HttpResponse {
    let nonce = &sheet.nonce;
    let rules = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    match template.render() {
        Ok(html) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_SECURITY_POLICY, rules))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// Why there is no page to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPage {
    /// The visitor is nobody yet, or has just shown a token.
    #[error(transparent)]
    SignIn(#[from] SignIn),
    /// There is nothing of that name, or it cannot be read.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// How a visitor may come in: by a token, and by the door of the provider where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    door: Option<Door>,
}

#[derive(Clone, Debug)]
struct Door {
    address: String,
    provider: String,
}

impl Entrance {
    /// Whoever comes in by the provider goes on to this path.
    pub(crate) fn of(plane: &Plane, to: &str) -> Self {
        let door = plane.sign_ins.as_ref().map(|sign_ins| Door {
            // Also where the visitor came by another address: the provider leads back to this one.
            address: format!("{}/sign-in/oidc?to={}", sign_ins.page(), in_url(to)),
            provider: sign_ins.host().to_owned(),
        });
        Self { door }
    }
}

#[derive(Template)]
#[template(path = "turned_away.html")]
struct TurnedAway<'t> {
    sheet: &'t Sheet,
    title: &'t str,
    message: &'t str,
    entrance: Option<&'t Entrance>,
}

/// A page that says in a sentence why it is not another.
pub(crate) fn turned_away(
    status: StatusCode,
    title: &str,
    message: &str,
    entrance: Option<&Entrance>,
) -> HttpResponse {
    let sheet = &Sheet::new();
    page(status, sheet, &TurnedAway { sheet, title, message, entrance })
}

impl ResponseError for NoPage {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn(sign_in) => sign_in.status_code(),
            Self::Refused(refusal) => refusal.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::SignIn(sign_in) => sign_in.error_response(),
            Self::Refused(refusal) => {
                let title = refusal.status_code().canonical_reason().unwrap_or("Not here").to_owned();
                turned_away(refusal.status_code(), &title, &refusal.to_string(), None)
            }
        }
    }
}
