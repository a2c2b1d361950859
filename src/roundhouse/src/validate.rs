//! `roundhouse config validate`: the compiler's word on a configuration.

use crate::{
    arguments::Validate,
    failure::Failure,
    say,
    values::{self, ConfigFile},
};
use compiler::Inputs;
use std::path::Path;

/// Checks a configuration file.
pub(crate) fn validate(options: &Validate) -> Result<(), Failure> {
    let config = ConfigFile::read(Some(&options.path), Path::new("."))?;
    let parameters = values::parameters(&options.parameters)?;
    let inputs = Inputs { parameters, native: options.native, ..Inputs::default() };
    let warnings = check(&config, &inputs)?;
    for warning in warnings {
        say::note(format_args!("{}\n", warning.trim_end()));
    }
    say::print(format_args!("Config file at {} is valid.\n", config.shown))
}

/// The rendered warnings of a configuration that compiles.
pub(crate) fn check(config: &ConfigFile, inputs: &Inputs) -> Result<Vec<String>, Failure> {
    let compilation = compiler::examine(&config.shown, &config.text, inputs);
    let diagnostics = compilation.to_run();
    let rendered = diagnostics.iter().map(|one| compilation.sources.render(one)).collect();
    if compilation.pipeline.is_some() {
        return Ok(rendered);
    }
    let errors = diagnostics.iter().filter(|one| one.is_error()).count();
    let count = crate::follow::words::counted(errors, "error");
    Err(Failure::configuration(format!("{} does not compile: {count}", config.shown), rendered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_is_shown_at_its_place() {
        let config = ConfigFile { shown: "c.yml".to_owned(), text: "version: 2.1\njobs: [\n".to_owned() };
        let failure = check(&config, &Inputs::default()).unwrap_err();
        assert_eq!(failure.status, protocol::exit::USAGE);
        assert!(failure.diagnostics[0].contains("c.yml:"), "{:?}", failure.diagnostics);
    }
}
