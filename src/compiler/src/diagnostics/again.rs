//! What is said of pipelines that are continued, and of steps that are run again.

use super::error;
use yaml::{Diagnostic, Span};

pub(crate) fn setup_again(span: Span) -> Diagnostic {
    error(
        span,
        "the configuration that continues a pipeline cannot be a setup configuration itself".to_owned(),
    )
    .with_help("leave `setup` out of it")
}

pub(crate) fn background_reruns(span: Span) -> Diagnostic {
    error(span, "`max_auto_reruns` does not go with `background`: nobody waits for the step's end".to_owned())
}

pub(crate) fn delay_of_nothing(span: Span) -> Diagnostic {
    error(span, "`auto_rerun_delay` is the pause before a rerun, and `max_auto_reruns` is missing".to_owned())
        .with_help("say how often with `max_auto_reruns`, from 1 to 5")
}
