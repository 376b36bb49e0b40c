//! How long a pod takes from nothing to running, and to be gone again, step by
//! step. Needs root and a directory with a root file system as its argument:
//! `cargo run --release -p container --example pod_start -- ROOTFS [ROUNDS]`.

use std::path::PathBuf;
use std::time::Duration;

use container::config::{ContainerConfig, Image, RootFs, SandboxConfig};
use container::embedded::{Config, Embedded};
use container::{Error, Runtime};
use stdx::Clock;

fn main() -> Result<(), Error> {
    if container::monitor::intercept().is_some() {
        return Ok(());
    }
    let mut arguments = std::env::args().skip(1);
    let rootfs = PathBuf::from(arguments.next().unwrap_or_else(|| "/".to_owned()));
    let rounds = arguments
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(30);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::Failed {
        operation: "start",
        message: error.to_string(),
    })?;
    runtime.block_on(measure(rootfs, rounds))
}

async fn measure(rootfs: PathBuf, rounds: usize) -> Result<(), Error> {
    let directory = std::env::temp_dir().join(format!("pod-start-{}", std::process::id()));
    let cgroup = format!("/pod-start-{}", std::process::id());
    let config = Config::new(
        directory.join("run"),
        directory.join("data"),
        cgroup.clone(),
    );
    let runtime = Embedded::open(config.clone()).await?;
    let clock = Clock::system();
    let mut steps: Vec<(&str, Vec<Duration>)> =
        ["sandbox", "create", "start", "all", "exec", "gone"]
            .map(|name| (name, Vec::new()))
            .into();
    for round in 0..rounds {
        let mut marks = vec![clock.now()];
        let sandbox = runtime
            .run_sandbox(SandboxConfig {
                name: format!("pod{round}"),
                cgroup_parent: format!("{cgroup}/kubepods/pod{round}"),
                ..SandboxConfig::default()
            })
            .await?;
        marks.push(clock.now());
        let image = Image {
            rootfs: RootFs {
                lower: vec![rootfs.clone()],
            },
            ..Image::default()
        };
        let command = ["/bin/sleep", "1000"].map(str::to_owned).to_vec();
        let container = ContainerConfig {
            image,
            command,
            ..ContainerConfig::default()
        };
        let id = runtime.create_container(&sandbox, container).await?;
        marks.push(clock.now());
        runtime.start_container(&id).await?;
        marks.push(clock.now());
        let command = ["/bin/true".to_owned()];
        runtime.exec_sync(&id, &command, Duration::ZERO).await?;
        marks.push(clock.now());
        runtime.remove_sandbox(&sandbox).await?;
        marks.push(clock.now());
        let spans = [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (4, 5)];
        for ((_, times), (from, to)) in steps.iter_mut().zip(spans) {
            times.push(marks[to] - marks[from]);
        }
    }
    for (name, mut times) in steps {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        println!(
            "{name:8} p50 {:?}  p90 {:?}  max {:?}",
            at(50),
            at(90),
            at(100)
        );
    }
    for count in [30, 110] {
        together(&runtime, &clock, &rootfs, &cgroup, count).await?;
    }
    drop(runtime);
    Embedded::reset(config).await
}

/// Starts this many pods at once, and removes them at once.
async fn together(
    runtime: &Embedded,
    clock: &Clock,
    rootfs: &std::path::Path,
    cgroup: &str,
    count: usize,
) -> Result<(), Error> {
    let begin = clock.now();
    let starting = (0..count).map(|number| async move {
        let sandbox = runtime
            .run_sandbox(SandboxConfig {
                name: format!("pod{number}"),
                cgroup_parent: format!("{cgroup}/kubepods/pod{number}"),
                ..SandboxConfig::default()
            })
            .await?;
        let image = Image {
            rootfs: RootFs {
                lower: vec![rootfs.to_owned()],
            },
            ..Image::default()
        };
        let command = ["/bin/sleep", "1000"].map(str::to_owned).to_vec();
        let container = ContainerConfig {
            image,
            command,
            ..ContainerConfig::default()
        };
        let id = runtime.create_container(&sandbox, container).await?;
        runtime.start_container(&id).await?;
        Ok::<_, Error>(sandbox)
    });
    let sandboxes = futures::future::try_join_all(starting).await?;
    let running = clock.now();
    let removing = sandboxes
        .iter()
        .map(|sandbox| runtime.remove_sandbox(sandbox));
    futures::future::try_join_all(removing).await?;
    let gone = clock.now();
    println!(
        "{count} pods at once: running {:?}, gone {:?}",
        running - begin,
        gone - running
    );
    Ok(())
}
