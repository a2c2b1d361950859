//! Why a call is not answered as asked, and how HTTP says so.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header::RETRY_AFTER},
};
use protocol::{api::Refused, http::ErrorBody};
use store::StoreError;

/// Why a call is not answered as asked. Each has a sentence for people.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A runner's token that stands for nothing: nobody is to learn what exists.
    #[error("the token stands for nothing")]
    Unknown,
    /// Nobody who is known.
    #[error("Unauthorized: give a token of yours, or the operator's, as `Authorization: Bearer`")]
    Unauthorized,
    /// Somebody who is known, and may not.
    #[error("{0}")]
    Forbidden(String),
    /// A webhook that is not the provider's: nobody is to learn why.
    #[error("the signature is not valid")]
    Unsigned,
    /// The lease is over.
    #[error("{0}")]
    Fenced(String),
    /// It does not fit what is.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be understood.
    #[error("{0}")]
    Bad(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// Others offer it, and this control plane does not.
    #[error("{0}")]
    NotOffered(String),
    /// A configuration that is wrong.
    #[error("{}", .0.message)]
    Diagnosed(Refused),
    /// There is no room to store it.
    #[error("{0}")]
    Full(String),
    /// Too much is being sent at once.
    #[error("too much is being sent at once: try again in a moment")]
    Busy,
    /// One token calls too often.
    #[error("too many calls with this token: try again in {seconds} s")]
    TooMany {
        /// After which one call is taken.
        seconds: u64,
    },
    /// The policies that decide on it cannot be asked now; they may be later.
    #[error("{0}")]
    Undecided(String),
    /// It cannot be done now; the same may succeed later.
    #[error("{0}")]
    Unavailable(String),
}

/// What an issuer needs.
const NO_ISSUER: &str = "a control plane needs a data directory that stays and an address to be known by (roundhouse server --public-url)";

impl Refusal {
    /// A workflow that is being read again, after the store refused a write of it.
    pub(crate) fn being_read() -> Self {
        Self::Unavailable("the task is being read from the store: try again".to_owned())
    }

    /// A job that asks for a token where nobody could check one.
    pub(crate) fn no_issuer() -> Self {
        Self::Bad(format!("no identity tokens are issued here: {NO_ISSUER}"))
    }

    /// Somebody who wants to check a token.
    pub(crate) fn no_issuer_here() -> Self {
        Self::Missing(format!("no identity tokens are issued here: {NO_ISSUER}"))
    }

    /// All that there is to say, where an answer has one place for it.
    pub(crate) fn in_full(&self) -> String {
        match self {
            Self::Diagnosed(refused) if !refused.diagnostics.is_empty() => {
                format!("{}:\n{}", refused.message, refused.diagnostics.join("\n").trim_end())
            }
            other => other.to_string(),
        }
    }

    /// A task that its caller holds no longer.
    pub(crate) fn fenced() -> Self {
        Self::Fenced("the lease is over: somebody else holds the task, or nobody wants it".to_owned())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full(format!("{error}: make room on it")),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<blobs::BlobError> for Refusal {
    fn from(error: blobs::BlobError) -> Self {
        match error {
            _ if error.is_senders() => Self::Bad(error.to_string()),
            blobs::BlobError::Unwritable { .. } => Self::Full(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unknown | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Unauthorized | Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Fenced(_) | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Bad(_) | Self::Diagnosed(_) => StatusCode::BAD_REQUEST,
            Self::NotOffered(_) => StatusCode::BAD_REQUEST,
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Busy | Self::Undecided(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Busy => {
                response.insert_header((RETRY_AFTER, "1"));
            }
            Self::TooMany { seconds } => {
                response.insert_header((RETRY_AFTER, seconds.to_string()));
            }
            _ => {}
        }
        match self {
            Self::Unknown => response.finish(),
            Self::Diagnosed(refused) => response.json(refused),
            _ => response.json(ErrorBody { message: self.to_string() }),
        }
    }
}
