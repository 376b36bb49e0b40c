//! What a container wants done after its start and before its end.
//!
//! Follows pkg/kubelet/lifecycle/handlers.go.

use std::time::Duration;

use container::Runtime;
use stdx::Clock;
use typed::api::core::v1::{Container, LifecycleHandler};

use crate::probes::http_get::Get;

/// A hook failed. The text may quote the program and is for the log and the
/// container's status, not for events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HookError(pub String);

/// Runs a hook to its end.
pub async fn run(
    runtime: &dyn Runtime,
    clock: &Clock,
    handler: &LifecycleHandler,
    container: &Container,
    container_id: &str,
    pod_ip: &str,
) -> Result<(), HookError> {
    if let Some(action) = &handler.exec {
        let command = action.command.clone().unwrap_or_default();
        return exec(runtime, container, container_id, &command).await;
    }
    if let Some(action) = &handler.http_get {
        let get = Get::new(action, container, pod_ip, "kube-lifecycle/1.37").map_err(HookError)?;
        let answer = get.send(clock, Duration::from_secs(30)).await;
        return answer
            .map(drop)
            .map_err(|error| HookError(format!("HTTP lifecycle hook failed: {error}")));
    }
    if let Some(action) = &handler.sleep {
        let seconds = u64::try_from(action.seconds).unwrap_or(0);
        clock.sleep(Duration::from_secs(seconds)).await;
        return Ok(());
    }
    // A tcpSocket hook passes validation for historical reasons and does nothing upstream either.
    Err(HookError(format!("Invalid handler: {handler:?}")))
}

async fn exec(
    runtime: &dyn Runtime,
    container: &Container,
    container_id: &str,
    command: &[String],
) -> Result<(), HookError> {
    match runtime
        .exec_sync(container_id, command, Duration::ZERO)
        .await
    {
        Ok(output) if output.exit_code == 0 => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(HookError(format!(
                "Exec lifecycle hook ({}) for Container \"{}\" failed - error: command '{}' exited with {}: {text}",
                command.join(" "),
                container.name,
                command.join(" "),
                output.exit_code,
            )))
        }
        Err(error) => Err(HookError(format!(
            "Exec lifecycle hook ({}) for Container \"{}\" failed - error: {}",
            command.join(" "),
            container.name,
            error.chain()
        ))),
    }
}
