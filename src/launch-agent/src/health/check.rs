//! The operator's own check of the host: a program that is content, or says why not in its last line.

use sandbox::{
    Containment,
    identity::Exit,
    launch::{Launch, Started},
    packet::readable,
};
use std::{
    fs::File,
    io::{self, PipeReader, Read},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// So much of the end of what it prints is looked at for its last line.
const TAIL: usize = 4096;
/// For how long what it leaves behind is struck.
const STRIKE: Duration = Duration::from_secs(5);

/// Runs it to its end, or kills it when its time is over, with all that it started. Blocks.
pub(crate) fn run(house: &str, command: &[String], directory: &Path, most: Duration) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| format!("runner.health_check: {error}");
    let mut containment = Containment::strongest(house, &format!("health-{}", Uuid::new_v4()), None);
    let ended = match started(command, directory, &mut containment) {
        Ok((started, output)) => ended(&started, output, most).map_err(|error| told(&error)),
        Err(why) => Err(told(&why)),
    };
    if let Err(survivors) = containment.kill(STRIKE) {
        return Err(told(&survivors));
    }
    containment.remove();
    ended?.map_err(|why| told(&why))
}

fn started(
    command: &[String],
    directory: &Path,
    containment: &mut Containment,
) -> Result<(Started, PipeReader), String> {
    let (output, writer) = io::pipe().map_err(|error| error.to_string())?;
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let launch = Launch {
        program: program.into(),
        arguments: arguments.to_vec(),
        prefix: Vec::new(),
        account: None,
        environment: variables.collect(),
        directory: directory.to_owned(),
        stdin: Vec::new(),
        error_output: File::from(OwnedFd::from(writer)),
        listener: None,
    };
    let started = launch.start(containment).map_err(|error| error.to_string())?;
    Ok((started, output))
}

/// What it came to; reads what it prints meanwhile, and keeps the end of that.
fn ended(started: &Started, mut output: PipeReader, most: Duration) -> io::Result<Result<(), String>> {
    let (begun, mut tail, mut is_open) = (Instant::now(), Vec::new(), true);
    loop {
        let left = most.saturating_sub(begun.elapsed());
        let watched = [started.pidfd.as_fd(), output.as_fd()];
        let ready = readable(if is_open { &watched } else { &watched[..1] }, Some(left))?;
        if is_open && ready[1] {
            is_open = take(&mut output, &mut tail)?;
        } else if ready[0] {
            return Ok(verdict(started.identity.reap(), &tail));
        }
        if begun.elapsed() >= most {
            return Ok(Err(format!("not over within {most:?}, so it was killed{}", said(&tail))));
        }
    }
}

/// False at the end.
fn take(output: &mut PipeReader, tail: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; TAIL];
    let read = output.read(&mut piece)?;
    tail.extend_from_slice(&piece[..read]);
    tail.drain(..tail.len().saturating_sub(TAIL));
    Ok(read > 0)
}

fn verdict(exit: Option<Exit>, tail: &[u8]) -> Result<(), String> {
    match exit {
        Some(Exit::Code(0)) => Ok(()),
        Some(Exit::Code(code)) => Err(format!("exit code {code}{}", said(tail))),
        Some(Exit::Signal(signal)) => Err(format!("ended by signal {signal}{}", said(tail))),
        None => Err("nobody knows how it ended".to_owned()),
    }
}

/// The last line that says anything.
fn said(tail: &[u8]) -> String {
    let text = String::from_utf8_lossy(tail);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(String::new, |line| format!(": {}", line.replace(char::is_control, " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, most: Duration) -> Result<(), String> {
        run("test", &["sh".to_owned(), "-c".to_owned(), script.to_owned()], Path::new("/"), most)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn its_last_line_is_the_reason() {
        assert_eq!(check("echo fine", LONG), Ok(()));
        let said = check("echo one; echo; echo 'two  '; echo >&2; exit 3", LONG).unwrap_err();
        assert_eq!(said, "runner.health_check: exit code 3: two");
        let said = check("seq 100000; kill -9 $$", LONG).unwrap_err();
        assert_eq!(said, "runner.health_check: ended by signal 9: 100000");
    }

    #[test]
    fn one_that_hangs_is_killed_with_all_that_it_started() {
        let left = tempfile::NamedTempFile::new().unwrap();
        let script =
            format!("setsid sh -c 'echo $$ > {}; sleep 1000' & echo waiting; wait", left.path().display());
        let said = check(&script, Duration::from_millis(300)).unwrap_err();
        assert!(said.ends_with("not over within 300ms, so it was killed: waiting"), "{said}");
        let pid = std::fs::read_to_string(left.path()).unwrap();
        assert!(!sandbox::Identity::of(pid.trim().parse().unwrap()).is_ok_and(|left| left.is_alive()));
    }

    #[test]
    fn one_that_ends_does_not_wait_for_what_it_left() {
        assert_eq!(check("sleep 1000 & exit 0", LONG), Ok(()));
    }

    #[test]
    fn one_that_is_not_there_is_not_content() {
        let said = run("test", &["/no/such/program".to_owned()], Path::new("/"), LONG).unwrap_err();
        assert!(said.contains("cannot start /no/such/program: No such file"), "{said}");
    }
}
