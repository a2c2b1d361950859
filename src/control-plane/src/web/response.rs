//! Pages as HTTP answers: what they may load, what is kept of them, and what is said where there is none.

use super::session::{SignIn, form_key};
use crate::{
    plane::{clock::wall_ms, token::new_token},
    refusal::Refusal,
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

#[derive(Template)]
#[template(path = "turned_away.html")]
struct TurnedAway<'t> {
    sheet: &'t Sheet,
    title: &'t str,
    message: &'t str,
    asks_token: bool,
}

/// A page that says in a sentence why it is not another.
pub(crate) fn turned_away(status: StatusCode, title: &str, message: &str, asks_token: bool) -> HttpResponse {
    let sheet = &Sheet::new();
    page(status, sheet, &TurnedAway { sheet, title, message, asks_token })
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
                turned_away(refusal.status_code(), &title, &refusal.to_string(), false)
            }
        }
    }
}
