//! A command in the container: its exit code is the answer.

use container::{Error, Runtime};
use typed::api::core::v1::ExecAction;

use super::{Outcome, Target};

/// How much of the output is told.
const OUTPUT_MAX: usize = 10 * 1024;

pub(super) async fn probe(runtime: &dyn Runtime, target: &Target, action: &ExecAction) -> Outcome {
    let command = action.command.clone().unwrap_or_default();
    let timeout = target.timeout();
    match runtime
        .exec_sync(&target.container_id, &command, timeout)
        .await
    {
        Ok(output) if output.exit_code == 0 => Outcome::Success,
        Ok(output) => {
            let mut text = output.stdout;
            text.extend(output.stderr);
            text.truncate(OUTPUT_MAX);
            Outcome::Failure(String::from_utf8_lossy(&text).into_owned())
        }
        Err(Error::Timeout { .. }) => {
            let seconds = timeout.as_secs();
            let command = command.join(" ");
            Outcome::Failure(format!(
                "command timed out: \"{command}\" timed out after {seconds}s"
            ))
        }
        Err(error) => Outcome::Error(error.chain()),
    }
}
