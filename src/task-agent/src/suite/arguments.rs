//! The words of `circleci tests …`.

use super::weigh::{By, Kind};
use std::time::Duration;

/// Words that are no command.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A command.
#[derive(Debug, PartialEq)]
pub(crate) enum Words {
    Glob(Vec<String>),
    Split(Options),
    Run(Options, String),
}

/// How a list is divided.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    index: Option<usize>,
    total: Option<usize>,
    pub(crate) by: By,
    /// None: found out.
    pub(crate) kind: Option<Kind>,
    pub(crate) time_default: Option<Duration>,
    pub(crate) show_counts: bool,
    pub(crate) timings_file: Option<String>,
    /// The list, if it is not on standard input.
    pub(crate) file: Option<String>,
    pub(crate) verbose: bool,
    command: Option<String>,
}

/// The most tasks that a list is divided over.
const MOST_TASKS: usize = 100_000;

/// The flags of `split` and `run`, for people.
pub(crate) const FLAGS: &str = "  --index N            this task, from 0 (CIRCLE_NODE_INDEX)
  --total N            how many tasks there are (CIRCLE_NODE_TOTAL)
  --split-by HOW       name (default), filesize, or timings: what they took in former runs of the job
  --timings-type WHAT  filename, classname, testname, or autodetect (default)
  --time-default TIME  of tests that no former run knows, as 10s; else the mean of the others
  --timings-file FILE  JSON with `tests`, in the place of former runs
  --show-counts        tells how many tests the share has
  --verbose, -v        of run: tells which tests the share has
";

/// The command that these words are.
pub(crate) fn read(words: &[String]) -> Result<Words, Usage> {
    let (command, rest) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    match command {
        "glob" => glob(rest),
        "split" => {
            let options = options(rest)?;
            match (&options.command, options.verbose) {
                (None, false) => Ok(Words::Split(options)),
                _ => Err(wrong("`--command` and `--verbose` belong to `circleci tests run`")),
            }
        }
        "run" => run(options(rest)?),
        other => Err(Usage(format!("there is no `circleci tests {other}`"))),
    }
}

fn wrong(why: &str) -> Usage {
    Usage(why.to_owned())
}

fn glob(rest: &[String]) -> Result<Words, Usage> {
    let patterns: Vec<_> = rest.iter().filter(|word| *word != "--").cloned().collect();
    if patterns.is_empty() {
        return Err(wrong("`circleci tests glob` needs a pattern"));
    }
    Ok(Words::Glob(patterns))
}

fn run(mut options: Options) -> Result<Words, Usage> {
    let command = options.command.take().filter(|command| !command.trim().is_empty());
    match (command, &options.file) {
        (Some(command), None) => Ok(Words::Run(options, command)),
        (None, _) => Err(wrong("`circleci tests run` needs `--command`")),
        (_, Some(file)) => {
            Err(Usage(format!("`circleci tests run` takes its list from standard input, not `{file}`")))
        }
    }
}

fn options(words: &[String]) -> Result<Options, Usage> {
    let (mut options, mut words) = (Options::default(), words.iter());
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            if options.file.replace(word.clone()).is_some() {
                return Err(Usage(format!("one list is enough, and `{word}` is the second")));
            }
            continue;
        }
        match word.as_str() {
            "--show-counts" | "--show-counts=true" => options.show_counts = true,
            "--verbose" | "-v" | "--verbose=true" => options.verbose = true,
            flag => {
                let (flag, value) =
                    flag.split_once('=').map_or((flag, None), |(flag, value)| (flag, Some(value)));
                let value = value.map(str::to_owned).or_else(|| words.next().cloned());
                let value =
                    value.ok_or_else(|| Usage(format!("`{flag}` needs a value, if it is a flag at all")))?;
                options.set(flag, value)?;
            }
        }
    }
    Ok(options)
}

impl Options {
    fn set(&mut self, flag: &str, value: String) -> Result<(), Usage> {
        match flag {
            "--index" => self.index = Some(number(flag, &value)?),
            "--total" => self.total = Some(number(flag, &value)?),
            "--split-by" => self.by = by(&value)?,
            "--timings-type" => self.kind = kind(&value)?,
            "--time-default" => self.time_default = Some(duration(&value)?),
            "--timings-file" => self.timings_file = Some(value),
            "--command" => self.command = Some(value),
            _ => return Err(Usage(format!("`{flag}` is no flag of it"))),
        }
        Ok(())
    }

    /// Which of how many tasks asks.
    pub(crate) fn node(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<(usize, usize), Usage> {
        let given = |flag: Option<usize>, name, default| match (flag, variable(name)) {
            (Some(number), _) => Ok(number),
            (None, Some(text)) => number(name, &text),
            (None, None) => Ok(default),
        };
        let (index, total) =
            (given(self.index, "CIRCLE_NODE_INDEX", 0)?, given(self.total, "CIRCLE_NODE_TOTAL", 1)?);
        match () {
            () if total > MOST_TASKS => {
                Err(Usage(format!("a list is divided over at most {MOST_TASKS} tasks")))
            }
            () if index >= total => {
                Err(Usage(format!("of {total} tasks none has the index {index}: they count from 0")))
            }
            () => Ok((index, total)),
        }
    }
}

fn number(what: &str, text: &str) -> Result<usize, Usage> {
    text.parse().map_err(|_| Usage(format!("`{what}` is a number from 0, not `{text}`")))
}

fn by(text: &str) -> Result<By, Usage> {
    match text {
        "name" => Ok(By::Name),
        "filesize" => Ok(By::Filesize),
        "timings" => Ok(By::Timings),
        _ => Err(Usage(format!("`--split-by` is name, filesize or timings, not `{text}`"))),
    }
}

fn kind(text: &str) -> Result<Option<Kind>, Usage> {
    match text {
        "autodetect" => Ok(None),
        "filename" | "file" => Ok(Some(Kind::Filename)),
        "classname" => Ok(Some(Kind::Classname)),
        "testname" | "name" => Ok(Some(Kind::Testname)),
        _ => Err(Usage(format!(
            "`--timings-type` is filename, classname, testname or autodetect, not `{text}`"
        ))),
    }
}

/// `10s`, `1m30s`, `250ms`, or seconds.
fn duration(text: &str) -> Result<Duration, Usage> {
    let wrong = || Usage(format!("`--time-default` is a time such as 10s, 1m30s or 250ms, not `{text}`"));
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 0.000_001,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number * unit;
        rest = &rest[end..];
    }
    Some(text).filter(|text| !text.is_empty()).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Words, Usage> {
        read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_read_with_a_sign_between_and_without() {
        let expect = Options {
            index: Some(1),
            total: Some(4),
            by: By::Timings,
            kind: Some(Kind::Classname),
            time_default: Some(Duration::from_millis(1500)),
            show_counts: true,
            timings_file: Some("t.json".to_owned()),
            file: Some("list".to_owned()),
            ..Options::default()
        };
        let given = "split --index=1 --total 4 --split-by=timings --timings-type classname --time-default=1.5s \
                     --show-counts --timings-file=t.json list";
        assert_eq!(words(given), Ok(Words::Split(expect)));
    }

    #[test]
    fn the_types_of_timings_have_the_names_of_both_commands() {
        for (text, expect) in
            [("file", Some(Kind::Filename)), ("name", Some(Kind::Testname)), ("autodetect", None)]
        {
            assert_eq!(kind(text), Ok(expect));
        }
    }

    #[test]
    fn what_is_wrong_is_said_by_its_name() {
        for (text, said) in [
            ("glob", "`circleci tests glob` needs a pattern"),
            ("run", "`circleci tests run` needs `--command`"),
            ("split --speed=3", "`--speed` is no flag of it"),
            ("split --index", "`--index` needs a value, if it is a flag at all"),
            ("split --index=one", "`--index` is a number from 0, not `one`"),
            ("split --split-by=luck", "`--split-by` is name, filesize or timings, not `luck`"),
            (
                "split --time-default=soon",
                "`--time-default` is a time such as 10s, 1m30s or 250ms, not `soon`",
            ),
            ("split -v", "`--command` and `--verbose` belong to `circleci tests run`"),
            ("run --command=a b", "`circleci tests run` takes its list from standard input, not `b`"),
            ("shuffle", "there is no `circleci tests shuffle`"),
        ] {
            assert_eq!(words(text), Err(Usage(said.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_node_is_the_tasks_own_unless_flags_say_otherwise() {
        let task =
            |name: &str| (name == "CIRCLE_NODE_INDEX").then(|| "2".to_owned()).or(Some("3".to_owned()));
        let nothing = |_: &str| None;
        let options = |index, total| Options { index, total, ..Options::default() };
        assert_eq!(options(None, None).node(&task), Ok((2, 3)));
        assert_eq!(options(Some(0), None).node(&task), Ok((0, 3)));
        assert_eq!(options(None, None).node(&nothing), Ok((0, 1)));
        let said = options(Some(3), None).node(&task).unwrap_err();
        assert_eq!(said.0, "of 3 tasks none has the index 3: they count from 0");
        assert!(options(Some(0), Some(0)).node(&nothing).is_err());
    }

    #[test]
    fn times_are_read_as_go_writes_them() {
        for (text, milliseconds) in
            [("10s", 10_000), ("1m30s", 90_000), ("250ms", 250), ("2", 2000), ("1.5h", 5_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "1x", "-1s", "1e400h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
