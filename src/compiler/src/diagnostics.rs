//! Everything the compiler can say, one function each.

mod again;
mod checkout;
mod names;

pub(crate) use again::*;
pub(crate) use checkout::*;
pub(crate) use names::*;

use yaml::{Diagnostic, Entry, Severity, Span};

/// Names as a sentence lists them.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn error(span: Span, message: String) -> Diagnostic {
    Diagnostic::error(span, message)
}

/// With the offer of a name that may be meant.
fn offering(diagnostic: Diagnostic, near: Option<&str>) -> Diagnostic {
    match near {
        Some(near) => diagnostic.with_help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

// What is not there yet.

pub(crate) fn unsupported(span: Span, what: &str) -> Diagnostic {
    error(span, format!("{what} is not supported yet"))
}

pub(crate) fn no_engine(span: Span, job: &str, why: &str) -> Diagnostic {
    error(span, format!("the job `{job}` wants a container, and this host has no engine for it: {why}"))
        .with_help("install Docker or Podman, or run it directly on this host with `--native`")
}

pub(crate) fn no_such_host(span: Span, system: &str) -> Diagnostic {
    error(span, format!("`{system}` is not supported: jobs run on Linux hosts"))
}

pub(crate) fn service_left_out(span: Span, image: &str) -> Diagnostic {
    Diagnostic::warning(
        span,
        format!("the service container `{image}` is not started: the job runs natively"),
    )
    .with_help("start the service on this host, where the job expects it")
}

pub(crate) fn scheduled_left_out(span: Span, workflow: &str) -> Diagnostic {
    let message =
        format!("the workflow `{workflow}` is left out: it starts by its schedule, on a control plane");
    Diagnostic::warning(span, message).with_help(format!("`--workflow {workflow}` runs it now"))
}

pub(crate) fn filtered_out(span: Span, workflow: &str, jobs: &[&str], place: &str) -> Diagnostic {
    let message =
        format!("in `{workflow}` the filters leave out on {place}: {}", listed(jobs.iter().copied()));
    Diagnostic::note(span, message)
}

pub(crate) fn nothing_runs(span: Span) -> Diagnostic {
    Diagnostic::warning(
        span,
        "nothing runs: every workflow is kept back by its `when`, its filters or its schedule",
    )
}

// The configuration as a whole.

pub(crate) fn too_many_errors(span: Span, most: usize) -> Diagnostic {
    error(span, format!("more than {most} errors: the rest is not shown"))
}

pub(crate) fn too_large(span: Span) -> Diagnostic {
    error(span, "the configuration grows too large as its commands and parameters are filled in".to_owned())
}

pub(crate) fn too_deep(span: Span, depth: usize) -> Diagnostic {
    error(span, format!("steps and values stand in one another deeper than {depth} levels"))
}

pub(crate) fn no_configuration(span: Span, actual: &str) -> Diagnostic {
    error(span, format!("a configuration is a map with `version` and `jobs`, and this is {actual}"))
}

pub(crate) fn no_version(span: Span) -> Diagnostic {
    Diagnostic::warning(span, "there is no `version`").with_help("`version: 2.1` is taken; write it")
}

pub(crate) fn unknown_version(span: Span, version: &str) -> Diagnostic {
    error(span, format!("the version `{version}` is not one of `2`, `2.0`, `2.1`"))
}

pub(crate) fn needs_newer_version(span: Span, key: &str) -> Diagnostic {
    Diagnostic::warning(span, format!("`{key}` means nothing in version 2"))
        .with_help("it needs `version: 2.1`")
}

pub(crate) fn nothing_to_run(span: Span) -> Diagnostic {
    error(span, "there are no workflows, and no job named `build`".to_owned())
        .with_help("add `workflows`, or name the one job `build`")
}

pub(crate) fn several_setup_workflows(span: Span, first: &str, other: &str) -> Diagnostic {
    let message = format!("a setup configuration runs one workflow: `{other}` would run beside `{first}`");
    error(span, message).with_help("let their `when` choose between them")
}

// Shapes.

pub(crate) fn wrong_type(span: Span, what: &str, wanted: &str, actual: &str) -> Diagnostic {
    let what = if what.contains(['`', ' ']) { what.to_owned() } else { format!("`{what}`") };
    error(span, format!("{what} must be {wanted}, not {actual}"))
}

pub(crate) fn missing_key(span: Span, what: &str, key: &str) -> Diagnostic {
    error(span, format!("{what} needs `{key}`"))
}

pub(crate) fn unknown_key(span: Span, what: &str, key: &str, near: Option<&str>) -> Diagnostic {
    offering(Diagnostic::warning(span, format!("the key `{key}` means nothing in {what}")), near)
}

pub(crate) fn no_key(span: Span, actual: &str) -> Diagnostic {
    error(span, format!("a key must be a word, and this reference is {actual}"))
}

// References and parameters.

pub(crate) fn unknown_reference(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    let near = near.map(|root| format!("did you mean `{root}`? "));
    error(span, format!("`{name}` is nothing that can be referred to"))
        .with_help(format!("{}to keep the text as it is write `\\<<`", near.unwrap_or_default()))
}

pub(crate) fn bare_reference(span: Span, name: &str) -> Diagnostic {
    Diagnostic::warning(
        span,
        format!("`<< {name} >>` stays as it is, though there is a parameter of that name"),
    )
    .with_help(format!("did you mean `<< parameters.{name} >>`?"))
}

pub(crate) fn undeclared_reference(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("`{name}` is not declared here")), near)
}

/// The words of [`undeclared_reference`], so that one place is not told twice.
pub(crate) fn undeclared_and_unused(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..undeclared_reference(span, name, near) }
}

pub(crate) fn out_of_place(span: Span, name: &str, place: &str) -> Diagnostic {
    error(span, format!("`{name}` cannot be used here, only {place}"))
}

pub(crate) fn unknown_pipeline_value(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("`{name}` is no pipeline value")), near)
}

pub(crate) fn no_text(span: Span, name: &str, actual: &str) -> Diagnostic {
    error(span, format!("`{name}` is {actual} and cannot stand inside a text"))
}

pub(crate) fn section_without_end(span: Span, name: &str) -> Diagnostic {
    error(span, format!("the section `{name}` has no end"))
        .with_help(format!("write `<</ {name} >>` after it"))
}

pub(crate) fn section_without_start(span: Span, name: &str) -> Diagnostic {
    error(span, format!("the section `{name}` ends here without being the one that began last"))
}

pub(crate) fn unknown_type(
    span: Span,
    parameter: &str,
    name: &str,
    near: Option<&str>,
    types: &[&str],
) -> Diagnostic {
    let message = format!("the parameter `{parameter}` has the unknown type `{name}`");
    match near {
        Some(_) => offering(error(span, message), near),
        None => error(span, message).with_help(format!("types are {}", listed(types.iter().copied()))),
    }
}

pub(crate) fn not_for_pipelines(span: Span, parameter: &str) -> Diagnostic {
    error(span, format!("the pipeline parameter `{parameter}` has a type that pipelines do not take"))
        .with_help("it can be a string, boolean, integer or enum")
}

pub(crate) fn wrong_value(
    span: Span,
    role: &str,
    parameter: &str,
    wanted: &str,
    actual: &str,
    help: Option<String>,
) -> Diagnostic {
    let diagnostic = error(span, format!("the {role} for `{parameter}` must be {wanted}, not {actual}"));
    Diagnostic { help, ..diagnostic }
}

pub(crate) fn missing_argument(span: Span, what: &str, parameter: &str) -> Diagnostic {
    error(span, format!("{what} needs the argument `{parameter}`, which has no default"))
}

pub(crate) fn unexpected_argument(span: Span, what: &str, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("unexpected argument: {what} has no parameter `{name}`")), near)
}

pub(crate) fn reserved_parameter(span: Span, name: &str) -> Diagnostic {
    error(
        span,
        format!("a job cannot have the parameter `{name}`: workflows give that word a meaning of their own"),
    )
}

pub(crate) fn too_many_parameters(span: Span, most: usize) -> Diagnostic {
    error(span, format!("a pipeline has at most {most} parameters"))
}

pub(crate) fn parameter_name_too_long(span: Span, longest: usize) -> Diagnostic {
    error(span, format!("the name of a pipeline parameter has at most {longest} characters"))
}

pub(crate) fn value_too_long(span: Span, name: &str, longest: usize) -> Diagnostic {
    error(span, format!("the value given for `{name}` has more than {longest} characters"))
}

pub(crate) fn pipeline_parameter_without_default(span: Span, name: &str) -> Diagnostic {
    error(span, format!("the pipeline parameter `{name}` has no default and was given no value"))
}

pub(crate) fn unknown_pipeline_parameter(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    offering(
        error(span, format!("a value was given for the pipeline parameter `{name}`, which is not declared")),
        near,
    )
}

// Conditions.

pub(crate) fn not_one_operator(entries: &[Entry], span: Span, operators: &[&str]) -> Diagnostic {
    let diagnostic =
        error(span, format!("a condition is one of {}, or a value", listed(operators.iter().copied())));
    let name = |entry: Option<&Entry>| entry.and_then(|(key, _)| key.text()).map(str::to_owned);
    let bare = entries.first().filter(|(_, value)| value.is_null());
    match (name(bare), name(entries.get(1))) {
        (Some(operator), Some(next)) => diagnostic.with_help(format!("indent `{next}` below `{operator}`")),
        _ => diagnostic,
    }
}

pub(crate) fn unknown_operator(span: Span, name: &str, near: Option<&str>, operators: &[&str]) -> Diagnostic {
    let diagnostic = error(span, format!("`{name}` is no operator of conditions"));
    match near {
        Some(_) => offering(diagnostic, near),
        None => diagnostic.with_help(format!("operators are {}", listed(operators.iter().copied()))),
    }
}

pub(crate) fn operator_without_list(span: Span, operator: &str) -> Diagnostic {
    error(span, format!("`{operator}` needs a list of operands, and at least one"))
}

pub(crate) fn matches_without_parts(span: Span) -> Diagnostic {
    error(span, "`matches` needs `pattern` and `value`".to_owned())
}

pub(crate) fn no_expression_word(span: Span) -> Diagnostic {
    error(span, "this is nothing that stands in an expression".to_owned())
}

pub(crate) fn no_expression(span: Span) -> Diagnostic {
    error(span, "the expression cannot go on like this".to_owned())
        .with_help("write as in `pipeline.git.branch == \"main\" and not pipeline.parameters.skip`")
}

pub(crate) fn wrong_operands(span: Span, operator: &str) -> Diagnostic {
    error(span, format!("`{operator}` cannot compare values of these types"))
}

pub(crate) fn bad_pattern(span: Span, reason: &str) -> Diagnostic {
    error(span, format!("the pattern cannot be read: {}", reason.trim().replace('\n', " ")))
}

// Jobs and steps.

pub(crate) fn no_executor(span: Span, what: &str) -> Diagnostic {
    error(span, format!("{what} must have one of `docker`, `machine`, `macos` or `executor`"))
        .with_help("`machine: true` runs it on a host directly")
}

pub(crate) fn empty_executor(span: Span, what: &str) -> Diagnostic {
    error(span, format!("the executor of {what} has none of `docker`, `machine` and `macos`"))
}

pub(crate) fn several_platforms(span: Span, what: &str, keys: &[&str]) -> Diagnostic {
    error(span, format!("{what} can have only one of {}", listed(keys.iter().copied())))
}

pub(crate) fn branches_of_a_job(span: Span) -> Diagnostic {
    Diagnostic::warning(span, "`branches` of a job means nothing where there are workflows")
        .with_help("write `filters` where the workflow names the job")
}

pub(crate) fn bad_parallelism(span: Span, text: &str, most: i64) -> Diagnostic {
    error(span, format!("`parallelism` must be a number from 1 to {most}, not `{text}`"))
}

pub(crate) fn not_one_step(entries: &[Entry], span: Span) -> Diagnostic {
    let span = entries.first().map_or(span, |(key, _)| key.span);
    let names = listed(entries.iter().filter_map(|(key, _)| key.text()).take(5));
    let diagnostic = error(span, format!("a step is one key, not {}: {names}", entries.len()));
    match entries.first().filter(|(_, value)| value.is_null()).and_then(|(key, _)| key.text()) {
        Some(step) => diagnostic.with_help(format!("indent what belongs to `{step}` below it")),
        None => diagnostic.with_help("begin each step with its own `-`"),
    }
}

pub(crate) fn no_step(span: Span, actual: &str) -> Diagnostic {
    error(span, format!("a step is a name or a map, and this is {actual}"))
}

pub(crate) fn command_calls_itself(span: Span, command: &str, calls: &[&str]) -> Diagnostic {
    let path: Vec<&str> = calls.iter().copied().skip_while(|call| *call != command).collect();
    error(span, format!("the command `{command}` calls itself: {} → {command}", path.join(" → ")))
}

pub(crate) fn unknown_when(span: Span, word: &str, near: Option<&str>) -> Diagnostic {
    let diagnostic =
        error(span, format!("`when` of a step is `on_success`, `always` or `on_fail`, not `{word}`"));
    offering(diagnostic, near)
}

pub(crate) fn no_duration(span: Span, text: &str) -> Diagnostic {
    error(span, format!("`{text}` is no duration")).with_help("write one as `90s`, `20m` or `1.5h`")
}

pub(crate) fn no_environment(span: Span, actual: &str) -> Diagnostic {
    error(span, format!("an environment is a map, or a list of maps and `NAME=value`, and this is {actual}"))
}

pub(crate) fn no_variable(span: Span, text: &str) -> Diagnostic {
    error(span, format!("`{text}` is no environment variable"))
        .with_help("write `NAME: value` or `NAME=value`")
}

pub(crate) fn no_variable_value(span: Span, name: &str, actual: &str) -> Diagnostic {
    error(span, format!("the environment variable `{name}` must be a string, not {actual}"))
}

// Workflows.

pub(crate) fn no_workflow_job(span: Span) -> Diagnostic {
    error(span, "a workflow's job is a name, or one name with its options below".to_owned())
}

pub(crate) fn no_matrix_values(span: Span, name: &str, actual: &str) -> Diagnostic {
    error(span, format!("the matrix needs a list of values for `{name}`, not {actual}"))
}

pub(crate) fn matrix_too_large(span: Span, most: usize) -> Diagnostic {
    error(span, format!("the matrix makes more than {most} jobs"))
}

pub(crate) fn partial_exclusion(span: Span) -> Diagnostic {
    error(span, "`exclude` needs a value for every parameter of the matrix, and for no other".to_owned())
}

pub(crate) fn doubled_name(span: Span, name: &str) -> Diagnostic {
    error(span, format!("two jobs of this workflow are called `{name}`"))
        .with_help("give one of them another `name`")
}

pub(crate) fn requires_unknown_job(span: Span, name: &str, workflow: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("the workflow `{workflow}` has no job `{name}` to require")), near)
}

pub(crate) fn requires_a_repeated_job(span: Span, name: &str, copies: usize) -> Diagnostic {
    error(span, format!("the job `{name}` is in this workflow {copies} times"))
        .with_help(format!("require `{name}-1` to `{name}-{copies}`, or give each its own `name`"))
}

pub(crate) fn cycle(span: Span, path: &[&str]) -> Diagnostic {
    const SHOWN: usize = 12;
    let shown =
        path.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" requires ");
    let rest = if path.len() > SHOWN { " …" } else { "" };
    error(span, format!("these jobs wait for one another: {shown}{rest}"))
}

pub(crate) fn not_for_groups(span: Span, group: &str, key: &str, options: &[&str]) -> Diagnostic {
    error(span, format!("the job group `{group}` takes no `{key}`"))
        .with_help(format!("it takes {}", listed(options.iter().copied())))
}

pub(crate) fn unknown_status(span: Span, text: &str, near: Option<&str>, statuses: &[&str]) -> Diagnostic {
    let diagnostic = error(span, format!("`{text}` is no status that a job can be required to have"));
    match near {
        Some(_) => offering(diagnostic, near),
        None => diagnostic.with_help(format!("statuses are {}", listed(statuses.iter().copied()))),
    }
}

pub(crate) fn no_serial_group(span: Span, longest: usize) -> Diagnostic {
    error(span, "this names no serial group".to_owned())
        .with_help(format!("it is made of letters, digits and `.-_/`, at most {longest} of them"))
}

pub(crate) fn no_lock_key(span: Span, job: &str) -> Diagnostic {
    error(span, format!("the job `{job}` names no serial group"))
        .with_help("add `key: name`, the same for lock and unlock")
}

pub(crate) fn no_validation(span: Span, job: &str) -> Diagnostic {
    error(span, format!("the `validation` of {job} listens to monitoring tools, which nothing here does"))
        .with_help("leave it out: whoever carries out the plan says how it ended, with `roundhouse release`")
}

pub(crate) fn steps_of_a_job_without(span: Span, job: &str, kind: &str) -> Diagnostic {
    Diagnostic::warning(span, format!("the steps of {job} never run: a job of `type: {kind}` has none"))
}

pub(crate) fn bad_reruns(span: Span, text: &str) -> Diagnostic {
    error(span, format!("`max_auto_reruns` must be a number from 1 to 5, not `{text}`"))
}

pub(crate) fn bad_delay(span: Span, text: &str) -> Diagnostic {
    error(span, format!("`auto_rerun_delay` must be a duration of at most 10m, not `{text}`"))
}

pub(crate) fn no_cron(span: Span, text: &str) -> Diagnostic {
    error(span, format!("`{text}` is no time of a schedule"))
        .with_help("write minute, hour, day of month, month and day of week: `0 4 * * 1`")
}

pub(crate) fn no_retention(span: Span) -> Diagnostic {
    error(span, "caches are kept for `1d` to `15d`".to_owned())
}

// What will not do what its author expects.

pub(crate) fn constant_cache_key(span: Span, key: &str) -> Diagnostic {
    Diagnostic::warning(span, format!("the cache key `{key}` never changes: what is saved first stays"))
        .with_help("name a file that it depends on: `{{ checksum \"package-lock.json\" }}`")
}

pub(crate) fn unused_parameter(span: Span, name: &str, what: &str) -> Diagnostic {
    Diagnostic::warning(span, format!("the parameter `{name}` of {what} is not used"))
}

pub(crate) fn never_run(span: Span) -> Diagnostic {
    Diagnostic::warning(span, "these steps never run: what is written here decides it already")
}

pub(crate) fn always_true(span: Span, text: &str) -> Diagnostic {
    Diagnostic::warning(span, format!("`{text}` is a text, and so always true"))
        .with_help(format!("did you mean `<< {text} >>`?"))
}

// What was asked to run.

pub(crate) fn no_such_workflow(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("there is no workflow `{name}` to run")), near)
}

pub(crate) fn workflow_is_off(span: Span, name: &str) -> Diagnostic {
    error(span, format!("the workflow `{name}` is kept back by its `when` or `unless`"))
        .with_help("set the pipeline parameters that it asks for with `--param`")
}

pub(crate) fn no_such_job(span: Span, name: &str, near: Option<&str>) -> Diagnostic {
    offering(error(span, format!("there is no job `{name}` to run")), near)
}

pub(crate) fn job_of_several_workflows(span: Span, job: &str, taken: &str, others: &[&str]) -> Diagnostic {
    let others = listed(others.iter().copied());
    Diagnostic::note(
        span,
        format!("the job `{job}` is taken from the workflow `{taken}`; it is in {others} too"),
    )
    .with_help("`--workflow` chooses")
}
