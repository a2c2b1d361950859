//! `roundhouse server`: the control plane as a long-lived process, and what keeps its data directory sound.

use crate::{
    arguments::{Server, ServerCommand},
    connect::block_on,
    failure::{Failure, OrFail},
    follow::Interrupts,
    logging,
    notify::Notifier,
    program,
};
use control_plane::{BackupError, CheckError, Settings};
use protocol::exit;
use std::{
    io::{self, Write},
    path::Path,
};

/// Serves until it is told to end, or does what is asked for instead; the exit status.
pub(crate) fn server(options: &Server) -> Result<u8, Failure> {
    match &options.command {
        None => serve(options).map(|()| exit::SUCCESS),
        Some(ServerCommand::Check { data_dir, deep }) => check(data_dir, *deep),
        Some(ServerCommand::Backup { data_dir, target }) => backup(data_dir, target),
    }
}

fn serve(options: &Server) -> Result<(), Failure> {
    let program = program::task_agent(options.task_agent.as_deref())?;
    let log = logging::to_stderr(options.log_format, slog::Level::Info);
    let mut settings = Settings::new(options.data_dir.clone(), options.listen, program);
    settings.lease = options.lease;
    settings.retention = options.retention();
    block_on(async move {
        let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
        let running = control_plane::start(settings, log.clone())
            .await
            .or_machinery("cannot start the control plane")?;
        slog::info!(log, "listening"; "address" => %running.address, "data" => %options.data_dir.display());
        let notifier = Notifier::of_environment();
        notifier.status(&format!("listening on {}", running.address));
        notifier.ready();
        interrupts.next().await;
        notifier.stopping();
        slog::info!(log, "ending");
        running.stop().await;
        Ok(())
    })
}

/// Each fault on a line; whether there was any.
fn check(data_dir: &Path, deep: bool) -> Result<u8, Failure> {
    let checked = block_on(async {
        control_plane::check(data_dir, deep).await.map_err(|error| match error {
            CheckError::Store(_) => Failure::usage(error.to_string()),
            CheckError::Directory { .. } => Failure::machinery(error.to_string()),
        })
    })?;
    let mut lines = checked.findings.clone();
    if checked.more > 0 {
        lines.push(format!("and {} more", checked.more));
    }
    let verdict = if lines.is_empty() { "is sound" } else { "is not sound" };
    let unnamed = match checked.unnamed {
        0 => String::new(),
        files => {
            format!("; {files} files ({} bytes) that nothing names yet, or no more", checked.unnamed_bytes)
        }
    };
    let (logs, contents, orbs) = (checked.logs, checked.contents, checked.orbs);
    let counts = format!("{logs} logs, {contents} contents, {orbs} orbs");
    lines.push(format!("{} {verdict}: {counts}{unnamed}", data_dir.display()));
    tell(&lines)?;
    Ok(if checked.findings.is_empty() { exit::SUCCESS } else { exit::JOB_FAILED })
}

fn backup(data_dir: &Path, target: &Path) -> Result<u8, Failure> {
    let done = block_on(async {
        control_plane::backup(data_dir, target).await.map_err(|error| match error {
            BackupError::Exists(_) | BackupError::Within(_) | BackupError::Store(_) => {
                Failure::usage(error.to_string())
            }
            _ => Failure::machinery(error.to_string()),
        })
    })?;
    let (contents, shared, logs) = (done.contents, done.shared, done.logs);
    tell(&[format!(
        "{} is a backup of {}: the store, {logs} files of logs, {contents} contents ({shared} of them shared)",
        target.display(),
        data_dir.display()
    )])?;
    Ok(exit::SUCCESS)
}

fn tell(lines: &[String]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(output, "{line}")).or_machinery("cannot write the result")
}
