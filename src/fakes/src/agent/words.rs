//! What each word of the fake task-agent does.

use super::link::Link;
use protocol::{
    frame::{Answer, Wanted},
    status::StepStatus,
};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// How long a wait looks away.
const GLANCE: Duration = Duration::from_millis(5);

/// A step's log.
pub(super) struct Output {
    pub(super) spool: File,
    pub(super) written: u64,
}

impl Output {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.written += text.len() as u64;
        self.spool.write_all(text)
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        self.write(format!("{text}\n").as_bytes())
    }
}

/// Runs a script; stops at the first failure, or when the task is canceled.
pub(super) fn run(
    script: &str,
    output: &mut Output,
    link: &Link,
    journal: &mut File,
) -> io::Result<(StepStatus, Option<i32>)> {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "fail" {
            return Ok((StepStatus::Failed, rest.parse().ok()));
        }
        if word == "nonsense" {
            journal.write_all(b"this is no record\n")?;
        } else {
            obey(word, rest, output, link)?;
        }
        link.progress();
        if link.canceled().is_some() {
            return Ok((StepStatus::Canceled, None));
        }
    }
    Ok((StepStatus::Success, Some(0)))
}

fn obey(word: &str, rest: &str, output: &mut Output, link: &Link) -> io::Result<()> {
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "say" => output.line(rest),
        "count" => count(number(first), number(second), output, link),
        "flood" => flood(number(first), output),
        "wait" => wait(link, || Path::new(rest).exists()),
        "touch" => File::create(rest).map(drop),
        "crash" => die(),
        "hang" => loop {
            std::thread::sleep(GLANCE);
        },
        "stubborn" => stubborn(output),
        "garbage" => {
            link.garbage();
            Ok(())
        }
        _ => carry(word, first, second, output, link),
    }
}

/// The words that ask the launch-agent for something.
fn carry(word: &str, first: &str, second: &str, output: &mut Output, link: &Link) -> io::Result<()> {
    let key = first.to_owned();
    let (wanted, file) = match word {
        "artifact" => (Wanted::StoreArtifact { path: key }, Some(holding(second)?)),
        "tests" => (Wanted::StoreTestResults, Some(holding(&format!("{first} {second}\n"))?)),
        "save" => (Wanted::SaveCache { key }, Some(holding(second)?)),
        "find" => (Wanted::FindCache { key }, None),
        "restore" => (Wanted::RestoreCache { keys: vec![key] }, None),
        "layer" => (Wanted::PersistLayer, Some(holding(&format!("{first} {second}"))?)),
        "source" => (Wanted::FetchSource, None),
        "former" => (Wanted::FormerTests, None),
        "attach" => return attach(output, link),
        _ => return output.line(&format!("`{word}` is no word of the fake task-agent")),
    };
    let (answer, file) = link.ask(wanted, file);
    tell(&answer, file, output)
}

fn attach(output: &mut Output, link: &Link) -> io::Result<()> {
    for index in 0.. {
        let (answer, file) = link.ask(Wanted::AttachLayer { index }, None);
        tell(&answer, file, output)?;
        if !matches!(answer, Answer::Layer { .. }) {
            break;
        }
    }
    Ok(())
}

fn tell(answer: &Answer, file: Option<OwnedFd>, output: &mut Output) -> io::Result<()> {
    let answer = serde_json::to_string(answer).map_err(io::Error::other)?;
    let mut content = String::new();
    if let Some(file) = file {
        File::from(file).read_to_string(&mut content)?;
    }
    output.line(format!("{answer} {content}").trim_end())
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn count(numbers: u64, pause: u64, output: &mut Output, link: &Link) -> io::Result<()> {
    for number in 0..numbers {
        if link.canceled().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(pause));
        output.line(&number.to_string())?;
        link.progress();
    }
    Ok(())
}

fn flood(mut bytes: u64, output: &mut Output) -> io::Result<()> {
    let line = format!("{}\n", "flood ".repeat(1000));
    while bytes > 0 {
        let piece = bytes.min(line.len() as u64);
        output.write(&line.as_bytes()[..piece as usize])?;
        bytes -= piece;
    }
    Ok(())
}

fn wait(link: &Link, mut done: impl FnMut() -> bool) -> io::Result<()> {
    while !done() && link.canceled().is_none() {
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

fn holding(text: &str) -> io::Result<OwnedFd> {
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn die() -> io::Result<()> {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
    Ok(())
}

/// Tells the process's number on the log.
fn stubborn(output: &mut Output) -> io::Result<()> {
    let mut command = Command::new("/usr/bin/setsid");
    command.args(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    output.line(&format!("stubborn {}", child.id()))
}
