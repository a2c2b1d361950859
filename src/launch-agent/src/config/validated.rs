//! From the merged configuration to settings: defaults filled in, contradictions refused.

use crate::config::{
    ClassSettings, LogFormat, LogLevel, LogTarget, Logging, Mode, Secret, Settings, containers,
    keys::KEYS,
    merged::{Merged, count, text_of},
    problem::{Place, Problem},
    settings::{auto_concurrency, default_state_directory, hostname},
};
use client::{Proxies, Transport, TransportError};
use config::Value;
use protocol::ids::ResourceClass;
use std::collections::BTreeMap;

/// The settings, if nothing is missing; problems are noted in `merged`.
pub(crate) fn settings(merged: &mut Merged, variables: &BTreeMap<String, String>) -> Option<Settings> {
    warn_of_ignored(merged);
    let (name, classes) = (name(merged), classes(merged));
    let url = url(merged);
    let state = merged.absolute("runner.state_directory");
    let state = state.or_else(|| default_state_directory(|name| variables.get(name).cloned()));
    let Some(state) = state else {
        let message = "no home for the state directory: set `runner.state_directory` or HOME";
        merged.problems.push(Problem::error(Place::Nowhere, message));
        return None;
    };
    let mut settings = Settings::new(name, url.clone().unwrap_or_default(), state, classes);
    reach(merged, &mut settings, variables);
    running(merged, &mut settings);
    health(merged, &mut settings);
    accounts(merged, &mut settings);
    places(merged, &mut settings);
    settings.containers = containers::read(merged);
    settings.logging = logging(merged);
    url.map(|_| settings)
}

fn warn_of_ignored(merged: &mut Merged) {
    for key in KEYS.iter().filter(|key| key.ignored && merged.is_set(key.path)).collect::<Vec<_>>() {
        let message = format!("`{}` has no effect: {}", key.path, key.meaning);
        let problem = Problem::warning(merged.place(key.path), message);
        merged.problems.push(problem);
    }
}

fn name(merged: &mut Merged) -> String {
    let Some(name) = merged.text("runner.name") else { return hostname() };
    let fits = |c: char| c.is_ascii_alphanumeric() || ".()-_".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        merged.error("runner.name", "`runner.name`: only letters, digits and `. ( ) - _` may be in a name");
    }
    name
}

fn url(merged: &mut Merged) -> Option<String> {
    let url = merged.text("api.url");
    if url.is_none() && !merged.is_set("api.url") {
        let problem =
            Problem::error(Place::Nowhere, "`api.url` is missing: the address of your control plane");
        merged.problems.push(problem.with_help("for example `api: {url: \"http://127.0.0.1:8811\"}`"));
    }
    url
}

fn classes(merged: &mut Merged) -> Vec<ClassSettings> {
    let mut classes = Vec::new();
    for (name, held) in merged.maps("resource_classes") {
        classes.extend(class(merged, &name, &held));
    }
    if let Some(token) = token(merged, "api.auth_token", "`api.auth_token`") {
        classes.push(ClassSettings { class: None, token, concurrency: None });
    }
    if classes.is_empty() && !merged.problems.iter().any(|problem| problem.severity == yaml::Severity::Error)
    {
        let problem = Problem::error(Place::Nowhere, "no resource class token: `api.auth_token` is missing");
        let help = "make one with `roundhouse token create`, or name several in `resource_classes`";
        merged.problems.push(problem.with_help(help));
    }
    refuse_doubles(merged, &classes);
    classes
}

fn token(merged: &mut Merged, path: &str, name: &str) -> Option<Secret> {
    let token = merged.text(path)?;
    usable_token(merged, path, name, &token)
}

fn usable_token(merged: &mut Merged, path: &str, name: &str, token: &str) -> Option<Secret> {
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        merged.error(path, format!("{name}: a token has no spaces and is not empty"));
        return None;
    }
    Some(Secret::new(token))
}

fn class(merged: &mut Merged, name: &str, held: &BTreeMap<String, Value>) -> Option<ClassSettings> {
    let path = format!("resource_classes.{name}");
    let class: Result<ResourceClass, _> = name.parse();
    if let Err(error) = &class {
        merged.error(&path, error.to_string());
    }
    let concurrency = held.get("concurrency").map(|value| text_of(value).as_deref().and_then(count));
    if concurrency == Some(None) {
        merged.error(&format!("{path}.concurrency"), "`concurrency`: a whole number from 1 up is wanted");
    }
    let Some(token) = held.get("token").and_then(text_of) else {
        merged.error(&path, format!("`{name}` has no token"));
        return None;
    };
    let token = usable_token(merged, &format!("{path}.token"), "`token`", &token)?;
    Some(ClassSettings { class: Some(class.ok()?), token, concurrency: concurrency.flatten() })
}

/// One token is one claim: two of the same would take turns for nothing.
fn refuse_doubles(merged: &mut Merged, classes: &[ClassSettings]) {
    for (place, class) in classes.iter().enumerate() {
        if classes[..place].iter().any(|before| before.token == class.token) {
            let path = class.class.as_ref().map(|name| format!("resource_classes.{name}.token"));
            merged.error(path.as_deref().unwrap_or("api.auth_token"), "the same token stands at two places");
        }
    }
}

/// Everything about reaching the control plane, tried as it will be used.
fn reach(merged: &mut Merged, settings: &mut Settings, variables: &BTreeMap<String, String>) {
    settings.api.ca_file = merged.text("api.ca_file").map(Into::into);
    match Proxies::read(|name| variables.get(name).cloned()) {
        Ok(proxies) => settings.api.proxies = proxies,
        Err(error) => merged.problems.push(Problem::error(Place::Nowhere, error.to_string())),
    }
    if !merged.is_set("api.url") {
        return;
    }
    match Transport::new(settings.api.clone()) {
        Ok(_) => {}
        Err(error @ TransportError::Url(_)) => merged.error("api.url", error.to_string()),
        Err(error) => merged.error("api.ca_file", error.to_string()),
    }
}

fn running(merged: &mut Merged, settings: &mut Settings) {
    let modes = [("continuous", Mode::Continuous), ("single-task", Mode::SingleTask)];
    set(&mut settings.mode, merged.choice("runner.mode", &modes));
    set(
        &mut settings.concurrency,
        merged.count_or_auto("runner.concurrency").map(|n| n.unwrap_or_else(auto_concurrency)),
    );
    set(&mut settings.max_run_time, merged.time("runner.max_run_time"));
    set(&mut settings.grace, merged.time("runner.grace"));
    settings.idle_timeout = merged.time("runner.idle_timeout").filter(|time| !time.is_zero());
    settings.outlive = merged.time("runner.outlive").filter(|time| !time.is_zero());
    set(&mut settings.poison_after, merged.count("runner.poison_after"));
    set(&mut settings.transfers, merged.count("runner.transfers"));
    set(&mut settings.max_spool, merged.size("logs.max_spool"));
    set(&mut settings.spool_wait, merged.time("logs.spool_wait"));
    set(&mut settings.cache_size, merged.size("cache.size"));
    if let Some(names) = merged.words("runner.environment") {
        refuse_strange_names(merged, &names);
        settings.environment = names;
    }
}

fn health(merged: &mut Merged, settings: &mut Settings) {
    set(&mut settings.min_free, merged.size("runner.min_free"));
    set(&mut settings.min_memory, merged.size("runner.min_memory"));
    set(&mut settings.max_zombies, merged.count("runner.max_zombies"));
    set(&mut settings.health_check, merged.words("runner.health_check"));
    set(&mut settings.health_interval, merged.time("runner.health_interval"));
    set(&mut settings.health_timeout, merged.time("runner.health_timeout"));
    if settings.health_check.first().is_some_and(String::is_empty) {
        merged.error("runner.health_check", "`runner.health_check`: the first word names a program");
    }
    for (path, time) in [
        ("runner.health_interval", settings.health_interval),
        ("runner.health_timeout", settings.health_timeout),
    ] {
        if time.is_zero() {
            merged.error(path, format!("`{path}`: a time longer than nothing is wanted"));
        }
    }
}

fn set<T>(setting: &mut T, configured: Option<T>) {
    if let Some(configured) = configured {
        *setting = configured;
    }
}

fn refuse_strange_names(merged: &mut Merged, names: &[String]) {
    let fits = |name: &str| {
        let name = name.strip_suffix('*').unwrap_or(name);
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some(strange) = names.iter().find(|name| name.is_empty() || !fits(name)) {
        let message =
            format!("`{strange}` is no name of a variable: letters, digits and `_`, and `*` at the end");
        merged.error("runner.environment", message);
    }
}

fn accounts(merged: &mut Merged, settings: &mut Settings) {
    settings.user = merged.text("runner.user");
    settings.command_prefix = merged.words("runner.command_prefix").unwrap_or_default();
    if settings.user.is_some() && !settings.command_prefix.is_empty() {
        let message = "`runner.user` beside `runner.command_prefix`: only one of them can say who runs jobs";
        merged.error("runner.user", message);
    }
}

fn places(merged: &mut Merged, settings: &mut Settings) {
    set(&mut settings.work_dir, merged.absolute("runner.task_directory"));
    set(&mut settings.cache_dir, merged.absolute("cache.directory"));
    set(&mut settings.cleanup_working_directory, merged.flag("runner.cleanup_working_directory"));
    set(&mut settings.terminal, merged.flag("runner.terminal"));
    let directory = merged.absolute("runner.working_directory");
    settings.working_directory = directory.map(|directory| directory.to_string_lossy().into_owned());
    if settings.working_directory.as_ref().is_some_and(|directory| directory.matches("%s").count() > 1) {
        merged.error("runner.working_directory", "`runner.working_directory`: only one `%s` can be replaced");
    }
}

fn logging(merged: &mut Merged) -> Logging {
    let levels = [
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warn", LogLevel::Warn),
        ("error", LogLevel::Error),
    ];
    let formats = [
        ("color", LogFormat::Color),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("none", LogFormat::None),
    ];
    let file = merged.text("logging.file").filter(|file| file != "-");
    Logging {
        level: merged.choice("logging.level", &levels).unwrap_or(LogLevel::Info),
        format: merged.choice("logging.format", &formats).unwrap_or(LogFormat::Color),
        target: file.map_or(LogTarget::StandardError, |file| LogTarget::File(file.into())),
    }
}
