//! Signing in on the page at a provider of OpenID Connect: the authorization code flow, with PKCE.
//!
//! ```text
//! browser                     control plane                                    provider
//!    ── /sign-in/oidc ───────▶ an attempt: state, nonce, verifier
//!    ◀─ 303, sealed cookie ──┘
//!    ── state, nonce, SHA-256 of the verifier ──────────────────────────────▶ who is there?
//!    ◀─ 303 /sign-in/oidc/callback?code=…&state=… ──────────────────────────┘
//!    ── code, state, cookie ─▶ the state is the cookie's ── code, verifier ─▶
//!                              the ID token is sound     ◀─ ID token ───────┘
//!    ◀─ the page's cookie ───┘ its issuer and subject are somebody's here
//! ```
//!
//! A person is known by issuer and subject alone. An e-mail address is taken once, at the first sign-in of whoever an admin
//! named by it, and only where the provider says that it has verified it. Whoever is not known is turned away.

mod attempt;
mod id_token;
mod identity;
mod person;
mod provider;

pub(crate) use attempt::{Attempt, GOOD_FOR};
pub(crate) use identity::Identity;

use crate::{
    outbound::Outbound,
    plane::{clock::wall_ms, token::new_token},
    refusal::Refusal,
    secrets::Vault,
    settings::IdentityProvider,
};
use provider::Provider;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Where the provider sends its answer, below the page's address.
const CALLBACK: &str = "/sign-in/oidc/callback";
/// So many codes are being exchanged at once.
const EXCHANGES: usize = 16;
/// So many sign-ins are remembered as over, each as long as its attempt would be good.
const MOST_SPENT: usize = 10_000;

/// Why a sign-in came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It was not begun here, or is over.
    #[error(
        "this sign-in was not begun in this browser, is over, or took longer than ten minutes: begin again"
    )]
    Stale,
    /// The provider said no, or what it said of the visitor is not to be trusted.
    #[error("{0}")]
    Refused(String),
    /// The provider cannot be asked, or answers otherwise than it should.
    #[error("{0}")]
    Provider(String),
    /// Too many at once.
    #[error("too many people are signing in: try again in a moment")]
    Busy,
    /// The visitor is somebody there, and nobody here.
    #[error(
        "you came as {0}. Nobody is known here by that: ask an admin of this server to say who you are, with \
         `roundhouse user identity`"
    )]
    Nobody(Box<Identity>),
    /// Not now.
    #[error(transparent)]
    Here(#[from] Refusal),
}

impl Trouble {
    /// The provider sent the visitor back with this.
    pub(crate) fn of_provider(error: &str, description: Option<&str>) -> Self {
        Self::Refused(format!("the provider did not let you in: {}", provider::said(error, description)))
    }
}

/// The provider where people sign in, and how that goes on.
#[derive(Debug)]
pub(crate) struct SignIns {
    provider: Provider,
    /// Where people find the page.
    page: String,
    /// Other than that of every other life: what was begun in one is over with it.
    life: String,
    /// The nonces of sign-ins that are over, and until when they would have been good.
    spent: Mutex<HashMap<String, i64>>,
    exchanges: Semaphore,
}

impl SignIns {
    /// At this provider, for the page at this address; or why that cannot be.
    pub(crate) fn new(
        provider: IdentityProvider,
        page: Option<&str>,
        outbound: Option<&Arc<dyn Outbound>>,
    ) -> Result<Self, String> {
        let page =
            page.ok_or("the provider has to send people back: give the page's address, --public-url")?;
        let outbound = outbound.ok_or("this control plane calls nobody, so it asks no provider")?;
        Ok(Self {
            provider: Provider::new(provider, outbound.clone())?,
            page: page.to_owned(),
            life: new_token(),
            spent: Mutex::default(),
            exchanges: Semaphore::new(EXCHANGES),
        })
    }

    /// The provider's name in its tokens.
    pub(crate) fn issuer(&self) -> &str {
        self.provider.issuer()
    }

    /// The provider's host, as people know it.
    pub(crate) fn host(&self) -> &str {
        let rest = self.issuer().split_once("://").map_or(self.issuer(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Where people find the page.
    pub(crate) fn page(&self) -> &str {
        &self.page
    }

    fn callback(&self) -> String {
        format!("{}{CALLBACK}", self.page)
    }

    /// Begins a sign-in that ends at a path of the page: where the visitor goes, and what their browser keeps.
    pub(crate) async fn begin(&self, vault: &Vault, to: &str) -> Result<(String, String), Trouble> {
        let attempt = Attempt::new(to, wall_ms());
        let address = self.provider.authorization(&attempt, &self.callback()).await?;
        Ok((address, attempt.sealed(vault, &self.life)))
    }

    /// The attempt that a browser kept, if it is this life's and not too old.
    pub(crate) fn attempt(&self, vault: &Vault, kept: &str) -> Option<Attempt> {
        Attempt::open(vault, &self.life, kept).filter(|attempt| attempt.is_good(wall_ms()))
    }

    /// Who came, by the code that the provider gave them: once.
    pub(crate) async fn identity(&self, attempt: &Attempt, code: &str) -> Result<Identity, Trouble> {
        let _one = self.exchanges.try_acquire().map_err(|_| Trouble::Busy)?;
        let (checked, access) = self.provider.exchange(attempt, code, &self.callback()).await?;
        self.spend(attempt)?;
        self.provider.identity(checked, access.as_deref()).await
    }

    /// The provider takes a code once; so do we, should it not.
    fn spend(&self, attempt: &Attempt) -> Result<(), Trouble> {
        let now = wall_ms();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, until| now < *until);
        if spent.contains_key(&attempt.nonce) {
            return Err(Trouble::Stale);
        }
        if spent.len() >= MOST_SPENT {
            return Err(Trouble::Busy);
        }
        spent.insert(attempt.nonce.clone(), attempt.until_ms);
        Ok(())
    }
}
