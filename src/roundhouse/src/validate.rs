//! `roundhouse config`: the compiler's word on a configuration, and the configuration as the compiler has it.

use crate::{
    arguments::{Given, Pack, Process, Validate},
    connect::Access,
    failure::Failure,
    follow::words::counted,
    orb, say,
    values::{self, ConfigFile},
};
use compiler::{Compilation, Expanded, Inputs};
use protocol::{api::GitValues, pipeline::Pipeline};
use std::sync::Arc;
use yaml::{Diagnostic, Severity};

/// Checks a configuration file.
pub(crate) fn validate(options: &Validate) -> Result<(), Failure> {
    let (config, inputs) = read(&options.given)?;
    let compilation =
        compiler::examine(&config.shown, &config.text, &Inputs { native: options.native, ..inputs });
    expanded(&config, &compilation)?;
    let refused = refusals(&compilation);
    if !refused.is_empty() {
        say::note(refused);
    }
    say::print(format_args!("Config file at {} is valid.\n", config.shown))
}

/// Prints a configuration with all filled in.
pub(crate) fn process(options: &Process) -> Result<(), Failure> {
    let (config, inputs) = read(&options.given)?;
    let compilation = compiler::examine(&config.shown, &config.text, &inputs);
    say::print(expanded(&config, &compilation)?.text())
}

/// Prints a folder as one configuration.
pub(crate) fn pack(options: &Pack) -> Result<(), Failure> {
    say::print(orbs::pack(&options.path).map_err(orb::unpacked)?)
}

/// The configuration and what to compile it with.
pub(crate) fn read(given: &Given) -> Result<(ConfigFile, Inputs), Failure> {
    let config = ConfigFile::read_or_standard_input(&given.path)?;
    let mut parameters = values::parameters(&given.parameters)?;
    for text in &given.pipeline_parameters {
        parameters.extend(values::pipeline_parameters(text)?);
    }
    // A pipeline is of a branch as a rule, and values of none would keep jobs out for nothing.
    let branch = given.branch.clone().or_else(|| given.tag.is_none().then(|| "main".to_owned()));
    let revision = Some("0".repeat(40));
    let git = GitValues { branch, tag: given.tag.clone(), revision, ..GitValues::default() };
    let orbs = Arc::new(orb::at_hand(&given.orbs, Access::if_named(&given.connection)?)?);
    Ok((config, Inputs { parameters, git, number: 1, orbs: Some(orbs), ..Inputs::default() }))
}

/// The configuration with all filled in, its warnings told; all that is wrong with it otherwise.
pub(crate) fn expanded<'c>(
    config: &ConfigFile,
    compilation: &'c Compilation,
) -> Result<&'c Expanded, Failure> {
    let render = |one: &Diagnostic| compilation.sources.render(one);
    let Some(expanded) = &compilation.expanded else {
        let all = compilation.said.iter().chain(&compilation.missed);
        let errors = all.clone().filter(|one| one.is_error()).count();
        let message = format!("{} is not valid: {}", config.shown, counted(errors, "error"));
        return Err(Failure::invalid(message, all.map(render).collect()));
    };
    for warning in compilation.said.iter().filter(|one| one.severity == Severity::Warning) {
        say::note(format_args!("{}\n", render(warning).trim_end()));
    }
    Ok(expanded)
}

/// What keeps parts of a right configuration from running here, a line each; the first few, for a container is wanted
/// by every job where it is by one.
fn refusals(compilation: &Compilation) -> String {
    const SHOWN: usize = 10;
    let line = |one: &Diagnostic| {
        let place = compilation.sources.place(one.span).unwrap_or_default();
        format!("  {} ({place})\n", one.message)
    };
    let errors: Vec<String> = compilation.refused.iter().map(line).collect();
    let rest = errors.len().saturating_sub(SHOWN);
    let rest = if rest > 0 { format!("  and {rest} more\n") } else { String::new() };
    let shown: String = errors.iter().take(SHOWN).map(String::as_str).collect();
    if errors.is_empty() {
        String::new()
    } else {
        format!("It cannot run here yet as a whole:\n{shown}{rest}")
    }
}

/// What a configuration compiles to, and its rendered warnings.
pub(crate) fn check(config: &ConfigFile, inputs: &Inputs) -> Result<(Pipeline, Vec<String>), Failure> {
    let compilation = compiler::examine(&config.shown, &config.text, inputs);
    let diagnostics = compilation.to_run();
    let rendered = diagnostics.iter().map(|one| compilation.sources.render(one)).collect();
    if let Some(pipeline) = compilation.pipeline {
        return Ok((pipeline, rendered));
    }
    let errors = diagnostics.iter().filter(|one| one.is_error()).count();
    let count = counted(errors, "error");
    Err(Failure::configuration(format!("{} does not compile: {count}", config.shown), rendered))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> ConfigFile {
        ConfigFile { shown: "c.yml".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_syntax_error_is_shown_at_its_place() {
        let failure = check(&file("version: 2.1\njobs: [\n"), &Inputs::default()).unwrap_err();
        assert_eq!(failure.status, protocol::exit::USAGE);
        assert!(failure.diagnostics[0].contains("c.yml:"), "{:?}", failure.diagnostics);
    }

    #[test]
    fn what_cannot_run_here_is_valid_all_the_same() {
        let config = file("version: 2.1\njobs: {build: {macos: {xcode: 15}, steps: [checkout]}}\n");
        let compilation = compiler::examine("c.yml", &config.text, &Inputs::default());
        assert!(expanded(&config, &compilation).is_ok());
        let refused = refusals(&compilation);
        assert!(
            refused.contains("`macos` is not supported: jobs run on Linux hosts (at c.yml:2)"),
            "{refused}"
        );
    }

    #[test]
    fn a_missing_orb_is_an_error_that_says_how_to_get_it() {
        let config =
            file("version: 2.1\norbs: {n: a/n@1}\njobs: {build: {machine: true, steps: [checkout]}}\n");
        let compilation = compiler::examine("c.yml", &config.text, &Inputs::default());
        let failure = expanded(&config, &compilation).unwrap_err();
        assert_eq!(failure.status, protocol::exit::JOB_FAILED);
        assert!(failure.diagnostics[0].contains("roundhouse orb import a/n@1"), "{:?}", failure.diagnostics);
    }
}
