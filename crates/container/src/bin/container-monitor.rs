//! The monitor alone, and a runtime that can be killed, for tests. The real ones
//! are roles of the main binary.

use std::process::ExitCode;

use container::config::{ContainerConfig, Image, RootFs, SandboxConfig};
use container::embedded::{Config, Embedded};
use container::{Error, Runtime};

fn main() -> ExitCode {
    if let Some(code) = container::monitor::intercept() {
        return code;
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [role, directory, cgroup, script] = arguments.as_slice() else {
        eprintln!("usage: container-monitor monitor DIRECTORY | run DIRECTORY CGROUP SCRIPT");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match (role.as_str(), runtime) {
        ("run", Ok(runtime)) => match runtime.block_on(run(directory, cgroup, script)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}", error.chain());
                ExitCode::FAILURE
            }
        },
        _ => ExitCode::from(2),
    }
}

/// Starts a container from `DIRECTORY/rootfs`, says so, and waits to be killed.
async fn run(directory: &str, cgroup: &str, script: &str) -> Result<(), Error> {
    let path = std::path::Path::new(directory);
    let config = Config::new(path.join("run"), path.join("data"), cgroup.to_owned());
    let runtime = Embedded::open(config).await?;
    let sandbox = SandboxConfig {
        name: "run".to_owned(),
        cgroup_parent: format!("{cgroup}/kubepods/podrun"),
        log_directory: Some(path.join("logs/run")),
        ..SandboxConfig::default()
    };
    let sandbox = runtime.run_sandbox(sandbox).await?;
    let rootfs = RootFs {
        lower: vec![path.join("rootfs")],
    };
    let container = ContainerConfig {
        name: "run".to_owned(),
        image: Image {
            rootfs,
            ..Image::default()
        },
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        log_path: Some("run/0.log".into()),
        ..ContainerConfig::default()
    };
    let id = runtime.create_container(&sandbox, container).await?;
    runtime.start_container(&id).await?;
    println!("{id}");
    std::future::pending().await
}
