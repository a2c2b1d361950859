//! The way from a command to a control plane: address, token, and what its refusals mean.

use crate::{
    arguments::Connection,
    failure::{Failure, OrFail, causes},
};
use client::{ClientError, Operator, Proxies, Settings, Transport};

const DEFAULT_HOST: &str = "http://127.0.0.1:8811";

/// Where a control plane is, and the right to operate it.
#[derive(Clone)]
pub(crate) struct Access {
    transport: Transport,
    token: String,
}

impl Access {
    /// From the options, else from the environment.
    pub(crate) fn of(connection: &Connection) -> Result<Self, Failure> {
        Self::found(connection, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The same where a control plane is named; none where it is not, or where the environment has no token for it.
    pub(crate) fn if_named(connection: &Connection) -> Result<Option<Self>, Failure> {
        Self::found_if_named(connection, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn found_if_named(
        connection: &Connection,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Failure> {
        let has_token = || connection.token.is_some() || variable("ROUNDHOUSE_TOKEN").is_some();
        let is_named = connection.host.is_some() || variable("ROUNDHOUSE_HOST").is_some() && has_token();
        is_named.then(|| Self::found(connection, variable)).transpose()
    }

    fn found(connection: &Connection, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let first = |names: [&str; 2]| names.into_iter().find_map(&variable);
        let host = connection.host.clone().or_else(|| first(["ROUNDHOUSE_HOST", "CIRCLECI_CLI_HOST"]));
        let token = connection.token.clone().or_else(|| first(["ROUNDHOUSE_TOKEN", "CIRCLECI_CLI_TOKEN"]));
        let Some(token) = token else {
            return Err(Failure::usage(
                "no operator's token: set ROUNDHOUSE_TOKEN or give --token (`roundhouse server` wrote it to operator-token in its data directory)",
            ));
        };
        let mut settings = Settings::new(host.unwrap_or_else(|| DEFAULT_HOST.to_owned()));
        settings.ca_file =
            connection.ca_file.clone().or_else(|| variable("ROUNDHOUSE_CA_FILE").map(Into::into));
        settings.proxies = Proxies::from_environment().or_usage("the proxy of the environment")?;
        settings.patience = std::time::Duration::from_secs(10);
        Ok(Self { transport: Transport::new(settings).or_usage("--host")?, token })
    }

    /// To a control plane of this very process.
    pub(crate) fn local(url: &str, token: &str) -> Result<Self, Failure> {
        let transport =
            Transport::new(Settings::new(url)).or_machinery("cannot reach the own control plane")?;
        Ok(Self { transport, token: token.to_owned() })
    }

    /// Connections for this thread.
    pub(crate) fn operator(&self) -> Operator {
        self.transport.operator(&self.token)
    }

    /// The control plane's address.
    pub(crate) fn url(&self) -> &str {
        self.transport.url()
    }
}

/// What an error of a call means for the command that made it.
pub(crate) fn failed(error: ClientError) -> Failure {
    match error {
        ClientError::Diagnosed(refused) => Failure::configuration(refused.message, refused.diagnostics),
        ClientError::Conflict(message) => Failure::usage(message),
        ClientError::Rejected { message, .. } => Failure::usage(message),
        ClientError::Refused { .. } => {
            Failure::machinery(format!("{}: is the token an operator's?", causes(&error)))
        }
        other => Failure::machinery(causes(&other)),
    }
}

/// Runs a command that speaks to a control plane, on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    actix_rt::System::new().block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Connection = Connection { host: None, token: None, ca_file: None };

    #[test]
    fn the_environment_of_either_command_line_is_enough() {
        let circle = |name: &str| match name {
            "CIRCLECI_CLI_HOST" => Some("http://elsewhere:1".to_owned()),
            "CIRCLECI_CLI_TOKEN" => Some("t".to_owned()),
            _ => None,
        };
        assert_eq!(
            Access::found(&NONE, circle).map(|access| access.url().to_owned()).unwrap(),
            "http://elsewhere:1"
        );
        let ours = |name: &str| {
            if name == "ROUNDHOUSE_HOST" { Some("http://own:2".to_owned()) } else { circle(name) }
        };
        assert_eq!(Access::found(&NONE, ours).map(|access| access.url().to_owned()).unwrap(), "http://own:2");
    }

    #[test]
    fn without_a_token_nothing_is_asked() {
        let failure = Access::found(&NONE, |_| None).map(|_| ()).unwrap_err();
        assert_eq!(failure.status, protocol::exit::USAGE);
        assert!(failure.message.contains("ROUNDHOUSE_TOKEN"));
    }

    #[test]
    fn a_control_plane_is_asked_where_it_is_named_and_a_token_is_there() {
        let named = |host: Option<&str>, variables: &[&str]| {
            let connection = Connection { host: host.map(str::to_owned), ..NONE };
            let variable = |name: &str| variables.contains(&name).then(|| "http://own:2".to_owned());
            Access::found_if_named(&connection, variable).map(|access| access.is_some())
        };
        assert_eq!(named(None, &[]), Ok(false));
        assert_eq!(named(None, &["ROUNDHOUSE_HOST"]), Ok(false));
        assert_eq!(named(None, &["ROUNDHOUSE_TOKEN"]), Ok(false));
        assert_eq!(named(None, &["ROUNDHOUSE_HOST", "ROUNDHOUSE_TOKEN"]), Ok(true));
        assert_eq!(named(Some("http://own:2"), &["ROUNDHOUSE_TOKEN"]), Ok(true));
        assert!(named(Some("http://own:2"), &[]).unwrap_err().message.contains("ROUNDHOUSE_TOKEN"));
    }

    #[test]
    fn an_address_that_is_none_is_said_to_be_none() {
        let connection =
            Connection { host: Some("elsewhere".to_owned()), token: Some("t".to_owned()), ..NONE };
        let failure = Access::found(&connection, |_| None).map(|_| ()).unwrap_err();
        assert!(failure.message.contains("http://host:port"), "{}", failure.message);
    }
}
