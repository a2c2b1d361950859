//! The options of a control plane on whose page people sign in at a provider of OpenID Connect.

use clap::Args;
use std::path::PathBuf;

/// The provider, and what it knows the control plane by.
#[derive(Args, Debug, Default)]
pub(crate) struct IdentityProviderOptions {
    /// The provider where people sign in on the page, to the letter as its discovery document names it
    #[arg(
        long,
        value_name = "URL",
        env = "ROUNDHOUSE_OIDC_ISSUER",
        requires = "oidc_client_id",
        help_heading = "Signing in by OpenID Connect"
    )]
    pub(crate) oidc_issuer: Option<String>,

    /// What the provider calls this control plane. It is to lead back to PUBLIC-URL/sign-in/oidc/callback
    #[arg(
        long,
        value_name = "ID",
        env = "ROUNDHOUSE_OIDC_CLIENT_ID",
        requires = "oidc_issuer",
        help_heading = "Signing in by OpenID Connect"
    )]
    pub(crate) oidc_client_id: Option<String>,

    /// The file with the secret that the provider shares with it; without one it is a public client
    #[arg(
        long,
        value_name = "FILE",
        env = "ROUNDHOUSE_OIDC_CLIENT_SECRET_FILE",
        requires = "oidc_issuer",
        help_heading = "Signing in by OpenID Connect"
    )]
    pub(crate) oidc_client_secret_file: Option<PathBuf>,

    /// What the provider is asked for besides `openid`; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "ROUNDHOUSE_OIDC_SCOPES",
        value_delimiter = ' ',
        requires = "oidc_issuer",
        default_value = "email",
        help_heading = "Signing in by OpenID Connect"
    )]
    pub(crate) oidc_scope: Vec<String>,

    /// The claim that names the groups of whoever signs in: those of the last sign-in are kept
    #[arg(
        long,
        value_name = "NAME",
        env = "ROUNDHOUSE_OIDC_GROUP_CLAIM",
        requires = "oidc_issuer",
        help_heading = "Signing in by OpenID Connect"
    )]
    pub(crate) oidc_group_claim: Option<String>,
}
