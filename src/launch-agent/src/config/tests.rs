//! From text and environment to settings or located errors.

use super::{keys::KEYS, *};
use std::{path::PathBuf, time::Duration};

const LEAST: &str = "api: {url: 'http://127.0.0.1:8811', auth_token: secret-token}\n";

struct Written {
    directory: tempfile::TempDir,
}

impl Written {
    fn new(text: &str) -> Self {
        let written = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(written.path(), text).unwrap();
        written.mode(0o600);
        written
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("c.yaml")
    }

    fn mode(&self, mode: u32) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
        let home = [("HOME", "/home/somebody")];
        let variables =
            home.iter().chain(variables).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        load(Some(&self.path()), &variables)
    }

    /// What is said, without the directory's name.
    fn said(&self, texts: &[String]) -> Vec<String> {
        let directory = format!("{}/", self.directory.path().display());
        texts.iter().map(|text| text.replace(&directory, "")).collect()
    }
}

fn settings(text: &str) -> Settings {
    let written = Written::new(text);
    let loaded = written.load(&[]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.settings
}

fn errors(text: &str) -> Vec<String> {
    let written = Written::new(text);
    written.said(&written.load(&[]).unwrap_err().0)
}

#[track_caller]
fn refuses(text: &str, place: &str, words: &str) {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(
        errors[0].starts_with(&format!("c.yaml:{place}: error: ")) && errors[0].contains(words),
        "{}",
        errors[0]
    );
}

fn with(rest: &str) -> String {
    format!("{LEAST}{rest}")
}

#[test]
fn every_documented_key_is_read() {
    let text = with(
        "runner:
  name: host-1.example_(a)
  concurrency: 7
  command_prefix: [sudo, -niHu, ci, --]
  working_directory: /var/opt/work/%s
  cleanup_working_directory: true
  terminal: false
  mode: single-task
  max_run_time: 1h30m
  idle_timeout: 5m
  grace: 3s
  outlive: 1h
  poison_after: 5
  environment: [PATH, 'MY_*']
  state_directory: /state
  task_directory: /tasks
  transfers: 3
  min_free: 1GiB
cache: {directory: /cache, size: 1GB}
logs: {max_spool: 1MiB, spool_wait: 10s}
logging: {level: debug, format: json, file: /log}
",
    );
    let read = settings(&text);
    assert_eq!((read.name.as_str(), read.concurrency), ("host-1.example_(a)", 7));
    assert_eq!(read.command_prefix, ["sudo", "-niHu", "ci", "--"]);
    assert_eq!(read.working_directory.as_deref(), Some("/var/opt/work/%s"));
    let flags = (read.cleanup_working_directory, read.terminal);
    assert_eq!((flags, read.mode), ((true, false), Mode::SingleTask));
    assert_eq!((read.max_run_time, read.idle_timeout), (minutes(90), Some(minutes(5))));
    assert_eq!((read.grace, read.outlive), (Duration::from_secs(3), Some(minutes(60))));
    assert_eq!(read.poison_after, 5);
    assert_eq!(read.environment, ["PATH", "MY_*"]);
    let places = [&read.state_dir, &read.work_dir, &read.cache_dir];
    assert_eq!(places, [Path::new("/state"), Path::new("/tasks"), Path::new("/cache")]);
    assert_eq!((read.transfers, read.min_free, read.cache_size), (3, 1 << 30, 1_000_000_000));
    assert_eq!((read.max_spool, read.spool_wait), (1 << 20, Duration::from_secs(10)));
    let target = LogTarget::File("/log".into());
    assert_eq!(read.logging, Logging { level: LogLevel::Debug, format: LogFormat::Json, target });
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn several_classes_have_tokens_and_bounds_of_their_own() {
    let text = "api: {url: 'http://a:1'}
resource_classes:
  Acme/v1.2-linux: {token: one, concurrency: 2}
  acme/other:
    token: two
";
    let classes = settings(text).classes;
    let class = |name: &str, token: &str, concurrency| {
        let class = Some(name.parse().unwrap());
        ClassSettings { class, token: Secret::new(token), concurrency }
    };
    assert_eq!(classes, [class("Acme/v1.2-linux", "one", Some(2)), class("acme/other", "two", None)]);
}

#[test]
fn what_is_left_out_has_its_default() {
    let (least, plain) = (settings(LEAST), Settings::new(hostname(), "", "/s", vec![]));
    assert_eq!((least.max_spool, least.grace, least.mode), (plain.max_spool, plain.grace, plain.mode));
    assert_eq!((least.name, least.concurrency), (plain.name, plain.concurrency));
    assert_eq!(least.work_dir, least.state_dir.join("work"));
}

#[test]
fn the_environment_overrides_the_file_in_both_generations() {
    let written = Written::new(&with("runner: {name: from-file, max_run_time: 1h}\n"));
    let variables = [
        ("LAUNCH_AGENT_RUNNER_NAME", "from-old"),
        ("CIRCLECI_RUNNER_MAX_RUN_TIME", "2h"),
        ("LAUNCH_AGENT_RUNNER_COMMAND_PREFIX", "sudo -n --"),
        ("ROUNDHOUSE_RUNNER_ENVIRONMENT", "[PATH, 'A_*']"),
        ("CIRCLECI_RUNNER_API_AUTH_TOKEN", "from-environment"),
    ];
    let read = written.load(&variables).unwrap().settings;
    assert_eq!((read.name.as_str(), read.max_run_time), ("from-old", minutes(120)));
    assert_eq!((read.command_prefix.len(), read.environment), (3, vec!["PATH".to_owned(), "A_*".to_owned()]));
    assert_eq!(read.classes[0].token.expose(), "from-environment");
}

#[test]
fn the_environment_alone_is_enough() {
    let variables = [("CIRCLECI_RUNNER_API_URL", "http://a:1"), ("CIRCLECI_API_TOKEN", "t"), ("HOME", "/h")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(load(None, &variables).unwrap().settings.api.url, "http://a:1");
    let missing = load(None, &[("HOME".to_owned(), "/h".to_owned())].into()).unwrap_err().0;
    assert!(missing.iter().any(|error| error.contains("`api.url` is missing")), "{missing:?}");
}

#[test]
fn a_wrong_value_in_the_environment_is_told_by_its_variable() {
    let error = Written::new(LEAST).load(&[("LAUNCH_AGENT_RUNNER_MAX_RUN_TIME", "5")]).unwrap_err().0;
    let wanted =
        "environment variable LAUNCH_AGENT_RUNNER_MAX_RUN_TIME: error: `runner.max_run_time`: a duration";
    assert!(error[0].starts_with(wanted), "{error:?}");
}

#[test]
fn a_strange_or_contradicting_variable_is_doubted() {
    let variables = [
        ("LAUNCH_AGENT_RUNNER_NAMEE", "x"),
        ("LAUNCH_AGENT_RUNNER_NAME", "old"),
        ("CIRCLECI_RUNNER_NAME", "new"),
    ];
    let loaded = Written::new(LEAST).load(&variables).unwrap();
    assert_eq!(loaded.settings.name, "new");
    assert!(loaded.warnings[0].contains("did you mean LAUNCH_AGENT_RUNNER_NAME?"), "{:?}", loaded.warnings);
    assert!(loaded.warnings[1].contains("CIRCLECI_RUNNER_NAME is set too"), "{:?}", loaded.warnings);
}

#[test]
fn an_error_shows_its_line_and_a_caret() {
    let errors = errors(&with("runner:\n  nmae: a\n"));
    let lines: Vec<_> = errors[0].lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "c.yaml:3:3: error: unknown key `runner.nmae`",
            "  |",
            "3 |   nmae: a",
            "  |   ^^^^",
            "  = help: did you mean `runner.name`?"
        ]
    );
}

#[test]
fn unknown_keys_are_errors_with_the_key_that_was_meant() {
    refuses(&with("runer: {name: a}\n"), "2:1", "did you mean `runner`?");
    refuses(&with("runner: {max_spool: 1MiB}\n"), "2:10", "did you mean `logs.max_spool`?");
    refuses(&with("runner: {zzz: 1}\n"), "2:10", "docs/configuration.md");
    refuses(
        "api: {url: 'http://a:1'}\nresource_classes: {a/b: {tokn: t, token: u}}\n",
        "2:26",
        "unknown key `tokn`",
    );
}

#[test]
fn wrong_types_are_errors_at_their_values() {
    refuses(&with("runner: {concurrency: many}\n"), "2:23", "or `auto`, is wanted");
    refuses(&with("runner: {concurrency: 0}\n"), "2:23", "from 1 up");
    refuses(&with("runner: {cleanup_working_directory: 1}\n"), "2:37", "`true` or `false`");
    refuses(&with("runner: {name: [a]}\n"), "2:16", "a text is wanted");
    refuses(&with("runner: {command_prefix: sudo}\n"), "2:26", "a list of texts");
    refuses(&with("runner: {mode: once}\n"), "2:16", "one of `continuous`, `single-task`");
    refuses(&with("runner: {max_run_time: 300}\n"), "2:24", "a duration is wanted");
    refuses(&with("cache: {size: big}\n"), "2:15", "a size is wanted");
    refuses(&with("runner: 5\n"), "2:9", "a map of keys is wanted");
    refuses(&with("resource_classes: [a]\n"), "2:19", "a map is wanted");
    refuses("- a\n", "1:1", "a map of keys is wanted");
}

#[test]
fn limits_of_resource_classes_are_added_to_circlecis_own() {
    let classes = "containers: {pull: always, engine: /run/x.sock, resource_classes: {acme/x: {cpus: 0.5, memory: 1GiB}}}\n";
    let read = settings(&with(classes)).containers;
    assert_eq!((read.pull, read.classes["medium"].millicpus), (::containers::Pull::Always, Some(2000)));
    assert_eq!(read.engine, crate::config::EngineChoice::At("/run/x.sock".into()));
    let limits = read.classes["acme/x"];
    assert_eq!((limits.millicpus, limits.memory), (Some(500), Some(1 << 30)));
}

#[test]
fn wrong_limits_are_errors_at_their_values() {
    refuses(&with("containers: {engine: host:2375}\n"), "2:22", "a unix socket");
    refuses(&with("containers: {resource_classes: [a]}\n"), "2:32", "a map is wanted");
    refuses(&with("containers: {resource_classes: {x: {cpus: many}}}\n"), "2:43", "a number of processors");
    refuses(&with("containers: {resource_classes: {x: {memory: 1 kg}}}\n"), "2:45", "a size is wanted");
    refuses(&with("containers: {resource_classes: {x: {cpu: 1}}}\n"), "2:37", "unknown key `cpu`");
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    refuses(&with("runner: {name: 'a b'}\n"), "2:16", "only letters");
    refuses(&with("runner: {working_directory: work}\n"), "2:29", "an absolute path");
    refuses(&with("runner: {working_directory: /%s/%s}\n"), "2:29", "only one `%s`");
    refuses(&with("runner: {user: ci, command_prefix: [sudo]}\n"), "2:16", "only one of them");
    refuses(&with("runner: {environment: ['A-B']}\n"), "2:23", "no name of a variable");
    refuses("api: {url: nowhere, auth_token: t}\n", "1:12", "is no address of a control plane");
    refuses(&with("resource_classes: {linux: {token: t}}\n"), "2:20", "no resource class");
    refuses(&with("resource_classes: {a/b: {concurrency: 1}}\n"), "2:20", "has no token");
    refuses(&with("resource_classes: {a/b: {token: t, concurrency: no}}\n"), "2:49", "from 1 up");
    refuses(&with("resource_classes: {a/b: {token: secret-token}}\n"), "1:49", "the same token");
    refuses("api: {url: 'http://a', auth_token: t, ca_file: /no/such}\n", "1:48", "cannot read certificates");
}

#[test]
fn everything_wrong_is_told_at_once() {
    assert_eq!(errors("runner: {mode: x, grace: y}\nzzz: 1\n").len(), 4, "and the missing address");
}

#[test]
fn a_broken_or_missing_file_is_told_by_its_name() {
    assert!(errors("api: {url\n")[0].starts_with("c.yaml:"));
    assert!(errors("api: {url\n")[0].contains("error"));
    let missing = load(Some(Path::new("/no/such.yaml")), &BTreeMap::new()).unwrap_err().0;
    assert!(
        missing[0].starts_with("/no/such.yaml: error: cannot read the configuration: No such file"),
        "{missing:?}"
    );
    let binary = Written::new("");
    fs::write(binary.path(), b"api:\n  \xff").unwrap();
    assert!(
        binary.load(&[]).unwrap_err().0[0].contains("c.yaml:2: error: the configuration is no UTF-8 text")
    );
}

#[test]
fn keys_without_a_meaning_here_are_accepted_with_a_warning_that_says_so() {
    for key in KEYS.iter().filter(|key| key.ignored) {
        let (section, name) = key.path.rsplit_once('.').unwrap();
        let value = section.replace("runner.ssh", "runner: {ssh");
        let text = match value.strip_prefix("runner: {") {
            Some(inner) => format!("runner: {{{inner}: {{{name}: 'true'}}}}\n"),
            None => format!("runner: {{{name}: true}}\n"),
        };
        let warnings = Written::new(&with(&text)).load(&[]).unwrap().warnings;
        assert!(warnings[0].contains(":2:") && warnings[0].contains(key.meaning), "{warnings:?}");
    }
}

#[test]
fn a_token_that_others_can_read_is_warned_of_at_its_line() {
    let written = Written::new(LEAST);
    written.mode(0o644);
    let warnings = written.said(&written.load(&[]).unwrap().warnings);
    assert!(warnings[0].starts_with("c.yaml:1:49: warning: every account"), "{warnings:?}");
    assert!(warnings[0].contains("chmod 600"), "{warnings:?}");
}

#[test]
fn tokens_are_never_printed() {
    assert!(!format!("{:?}", settings(LEAST)).contains("secret-token"));
    let errors = errors(&with("runner: {mode: x}\n"));
    assert!(!errors.join("").contains("secret-token"), "{errors:?}");
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let shipped = fs::read_to_string(project("config/launch-agent-config.yaml")).unwrap();
    let token = [("CIRCLECI_RUNNER_API_AUTH_TOKEN", "secret-token")];
    let loaded = Written::new(&shipped).load(&token).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(format!("{:?}", loaded.settings), format!("{:?}", settings(LEAST)));
    for key in KEYS.iter().filter(|key| !key.ignored) {
        let last = key.path.rsplit('.').next().unwrap();
        assert!(shipped.contains(&format!("{last}:")), "{} is not shown", key.path);
    }
}

#[test]
fn the_documented_table_is_the_codes() {
    let written = fs::read_to_string(project("docs/configuration.md")).unwrap();
    for table in [table(false), table(true)] {
        assert!(
            written.contains(&table),
            "docs/configuration.md is not up to date; this belongs there:\n{table}"
        );
    }
}

/// As the documentation has it.
fn table(ignored: bool) -> String {
    let heads = if ignored { ["key", "environment", "why it has no effect"].as_slice() } else { &HEADS };
    let rule = vec!["---"; heads.len()];
    let rows = KEYS.iter().filter(|key| key.ignored == ignored).map(|key| {
        let names = key.environment.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
        let default = if ignored { vec![] } else { vec![key.default.to_owned()] };
        let cells = [vec![format!("`{}`", key.path), names], default, vec![key.meaning.to_owned()]].concat();
        format!("| {} |\n", cells.join(" | "))
    });
    format!("| {} |\n|{}|\n{}", heads.join(" | "), rule.join("|"), rows.collect::<String>())
}

const HEADS: [&str; 4] = ["key", "environment", "default", "meaning"];
