//! The double against itself.

use super::*;
use crate::runtime::Runtime;

async fn started(runtime: &FakeRuntime, name: &str) -> (String, String) {
    let sandbox = runtime.run_sandbox(SandboxConfig::default()).await.unwrap();
    let config = ContainerConfig {
        name: name.to_owned(),
        ..Default::default()
    };
    let id = runtime.create_container(&sandbox, config).await.unwrap();
    runtime.start_container(&id).await.unwrap();
    (sandbox, id)
}

#[tokio::test]
async fn lives_and_ends() {
    let runtime = FakeRuntime::default();
    let mut events = runtime.events();
    let (sandbox, id) = started(&runtime, "web").await;
    runtime.oom(&id);
    let status = runtime.container_status(&id).await.unwrap();
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (137, "OOMKilled")
    );
    let mut kinds = Vec::new();
    while let Ok(event) = events.try_recv() {
        kinds.push(event.kind);
    }
    use EventKind::*;
    assert_eq!(kinds, [Created, Created, Started, Stopped]);
    assert!(runtime.start_container(&id).await.is_err());
    runtime.remove_sandbox(&sandbox).await.unwrap();
    assert!(
        runtime
            .container_status(&id)
            .await
            .is_err_and(|error| error.is_not_found())
    );
}

#[tokio::test]
async fn follows_its_script() {
    let runtime = FakeRuntime::default();
    runtime.script(
        "bad",
        Script {
            start_error: Some("no such file".into()),
            ..Script::default()
        },
    );
    let sandbox = runtime.run_sandbox(SandboxConfig::default()).await.unwrap();
    let config = ContainerConfig {
        name: "bad".into(),
        ..Default::default()
    };
    let id = runtime.create_container(&sandbox, config).await.unwrap();
    assert!(matches!(
        runtime.start_container(&id).await,
        Err(Error::Start(_))
    ));
    let status = runtime.container_status(&id).await.unwrap();
    assert_eq!(
        (status.exit_code, status.reason.as_str()),
        (128, "StartError")
    );
}

#[tokio::test(start_paused = true)]
async fn a_deaf_container_is_killed_after_the_timeout() {
    let runtime = FakeRuntime::default();
    runtime.script(
        "deaf",
        Script {
            ignore_stop: true,
            ..Script::default()
        },
    );
    let (_, id) = started(&runtime, "deaf").await;
    runtime
        .stop_container(&id, Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(runtime.container_status(&id).await.unwrap().exit_code, 137);
}
