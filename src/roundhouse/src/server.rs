//! `roundhouse server`: the control plane as a long-lived process.

use crate::{
    arguments::Server,
    connect::block_on,
    failure::{Failure, OrFail},
    follow::Interrupts,
    logging, program,
};
use control_plane::Settings;

/// Serves until it is told to end; the exit status.
pub(crate) fn server(options: &Server) -> Result<(), Failure> {
    let program = program::task_agent(options.task_agent.as_deref())?;
    let log = logging::to_stderr(options.log_format, slog::Level::Info);
    let mut settings = Settings::new(options.data_dir.clone(), options.listen, program);
    settings.lease = options.lease;
    block_on(async move {
        let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
        let running = control_plane::start(settings, log.clone())
            .await
            .or_machinery("cannot start the control plane")?;
        slog::info!(log, "listening"; "address" => %running.address, "data" => %options.data_dir.display());
        interrupts.next().await;
        slog::info!(log, "ending");
        running.stop().await;
        Ok(())
    })
}
