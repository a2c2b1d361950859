//! What is wrong with a configuration, and where: in the file, in a variable, or missing.

use yaml::{Diagnostic, Severity, Span};

/// The text of the configuration file and its name.
#[derive(Clone, Debug)]
pub(crate) struct SourceText {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    In(Span),
    Variable(&'static str),
    Nowhere,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    pub(crate) fn error(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, message: message.into(), help: None }
    }

    pub(crate) fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As people read it, without a line feed at its end.
    pub(crate) fn render(&self, source: &SourceText) -> String {
        let (severity, message) = (self.severity, &self.message);
        let help = self.help.as_ref().map(|help| format!("\n = help: {help}")).unwrap_or_default();
        match self.place {
            Place::In(span) => {
                let diagnostic =
                    Diagnostic { severity, span, message: message.clone(), help: self.help.clone() };
                yaml::render(&diagnostic, &source.name, &source.text).trim_end().to_owned()
            }
            Place::Variable(name) => format!("environment variable {name}: {severity}: {message}{help}"),
            Place::Nowhere => format!("{}: {severity}: {message}{help}", source.name),
        }
    }
}

impl From<Diagnostic> for Problem {
    fn from(diagnostic: Diagnostic) -> Self {
        let Diagnostic { severity, span, message, help } = diagnostic;
        Self { severity, place: Place::In(span), message, help }
    }
}
