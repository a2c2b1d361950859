//! `step halt`: the job ends after this step, as it stands then.

use super::{Failure, ask::ask, takes_nothing};
use protocol::job::Call;

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    takes_nothing(arguments)?;
    ask(&Call::Halt)
}
