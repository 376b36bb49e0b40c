//! Keeps container logs from filling the disk.
//!
//! Follows pkg/kubelet/logs/container_log_manager.go: the open file is renamed
//! with the time, the runtime opens a new one, the oldest are removed. Unlike
//! upstream nothing is compressed, so that `logs` needs one way of reading.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use container::Runtime;
use container::status::{ContainerFilter, ContainerState};
use stdx::Clock;

/// How often logs are looked at, as upstream does.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often they are while one of them grows fast, which would fill the disk
/// between two looks.
const LOOK_AT_FLOOD_EVERY: Duration = Duration::from_secs(1);

/// Rotates logs that are too long, until it is dropped.
pub async fn run(runtime: &dyn Runtime, clock: &Clock, size_max: u64, files_max: u32) {
    let mut pause = LOOK_EVERY;
    loop {
        clock.sleep(pause).await;
        let longest = rotate_all(runtime, clock, size_max, files_max).await;
        pause = match longest >= size_max / 2 {
            true => LOOK_AT_FLOOD_EVERY,
            false => LOOK_EVERY,
        };
    }
}

/// Rotates the logs of all running containers that are too long; how long the
/// longest was.
pub async fn rotate_all(
    runtime: &dyn Runtime,
    clock: &Clock,
    size_max: u64,
    files_max: u32,
) -> u64 {
    let filter = ContainerFilter {
        state: Some(ContainerState::Running),
        ..ContainerFilter::default()
    };
    let containers = match runtime.list_containers(&filter).await {
        Ok(containers) => containers,
        Err(error) => {
            tracing::warn!(
                error = error.chain(),
                "cannot list containers for log rotation"
            );
            return 0;
        }
    };
    let mut longest = 0;
    for container in containers {
        let Some(path) = &container.log_path else {
            continue;
        };
        let length = match fs::metadata(path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                reopen(runtime, &container.id, path).await;
                0
            }
            Err(_) => 0,
        };
        longest = longest.max(length);
        if length < size_max {
            continue;
        }
        if let Err(error) = rotate(runtime, clock, &container.id, path, files_max).await {
            tracing::warn!(path = %path.display(), error, "cannot rotate log");
        }
    }
    longest
}

/// A kubelet that ended between renaming and reopening left a runtime that
/// goes on writing where nobody looks.
async fn reopen(runtime: &dyn Runtime, id: &str, path: &Path) {
    if let Err(error) = runtime.reopen_log(id).await {
        let error = error.chain();
        tracing::warn!(path = %path.display(), error, "cannot reopen log");
    }
}

async fn rotate(
    runtime: &dyn Runtime,
    clock: &Clock,
    id: &str,
    path: &Path,
    files_max: u32,
) -> Result<(), String> {
    let time = stdx::format_seconds(clock.wall()).replace([':', '-', 'T', 'Z'], "");
    let old = PathBuf::from(format!("{}.{time}", path.display()));
    if old.exists() {
        // It was rotated in this very second: another file must not be lost.
        return Ok(());
    }
    fs::rename(path, &old).map_err(|error| error.to_string())?;
    if let Err(error) = runtime.reopen_log(id).await {
        // The runtime still writes to the old file: it keeps its name.
        fs::rename(&old, path).map_err(|error| error.to_string())?;
        return Err(error.chain());
    }
    remove_oldest(path, files_max).map_err(|error| error.to_string())
}

/// Leaves `files_max` files, the open one included.
fn remove_oldest(path: &Path, files_max: u32) -> io::Result<()> {
    let mut rotated = rotated(path)?;
    let keep = usize::try_from(files_max.saturating_sub(1)).unwrap_or(0);
    let too_many = rotated.len().saturating_sub(keep);
    for old in rotated.drain(..too_many) {
        fs::remove_file(old)?;
    }
    Ok(())
}

/// Removes a log with all that was rotated of it.
pub fn remove(path: &Path) -> io::Result<()> {
    for file in rotated(path)?.iter().map(PathBuf::as_path).chain([path]) {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The rotated files of a log, the oldest first.
pub fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use container::fake::FakeRuntime;
    use container::{ContainerConfig, SandboxConfig};

    #[tokio::test]
    async fn a_rotation_that_was_cut_off_is_finished() {
        let temp = tempfile::tempdir().unwrap();
        let runtime = FakeRuntime::default();
        let sandbox = SandboxConfig {
            log_directory: Some(temp.path().to_owned()),
            ..SandboxConfig::default()
        };
        let sandbox = runtime.run_sandbox(sandbox).await.unwrap();
        let config = ContainerConfig {
            log_path: Some("0.log".into()),
            ..ContainerConfig::default()
        };
        let id = runtime.create_container(&sandbox, config).await.unwrap();
        runtime.start_container(&id).await.unwrap();
        fs::write(temp.path().join("0.log.20261130"), "old").unwrap();
        rotate_all(&runtime, &Clock::system(), 100, 5).await;
        assert!(temp.path().join("0.log").exists());
    }

    #[test]
    fn the_oldest_go() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        for name in ["0.log", "0.log.1", "0.log.2", "0.log.3", "1.log"] {
            fs::write(temp.path().join(name), "").unwrap();
        }
        remove_oldest(&path, 3).unwrap();
        let left: Vec<String> = rotated(&path)
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, ["0.log.2", "0.log.3"]);
        assert!(temp.path().join("1.log").exists());
    }
}
