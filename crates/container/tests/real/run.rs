//! Starting, ending, logs, signals, restarts of the log.

use std::time::Duration;

use container::config::{DnsConfig, EnvVar, NamespaceMode};
use container::runtime::EventKind;
use container::{ContainerState, Error, Runtime, SandboxState};

use crate::node::{BOUND, Node, until};

#[tokio::test]
async fn output_and_exit_code_are_kept() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (status, log) = node
        .script("echo out; echo err >&2; printf end; exit 7")
        .await;
    assert_eq!(status.state, ContainerState::Exited);
    assert_eq!(
        (status.exit_code, status.reason.as_str(), status.signal),
        (7, "Error", None)
    );
    let (started, finished) = (status.started_ns.unwrap(), status.finished_ns.unwrap());
    assert!(status.created_ns <= started && started <= finished);
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["stderr F err", "stdout F out", "stdout P end"]);
    let (status, _) = node.script("true").await;
    assert_eq!((status.exit_code, status.reason.as_str()), (0, "Completed"));
    node.finish().await;
}

#[tokio::test]
async fn the_environment_is_that_of_image_and_pod() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut config = node.container_config("env", "env; pwd; hostname; cat /etc/hostname");
    config.image.defaults.env = vec!["FROM=image".into(), "BOTH=image".into()];
    config.image.defaults.working_dir = "/made/for/me".into();
    config.env = vec![EnvVar {
        name: "BOTH".into(),
        value: "pod".into(),
    }];
    let (_, log) = node.run(config).await;
    for line in [
        "FROM=image",
        "BOTH=pod",
        "HOSTNAME=env",
        "HOME=/root",
        "PWD=/made/for/me",
    ] {
        assert!(
            log.contains(&format!("stdout F {line}\n")),
            "{line} in {log}"
        );
    }
    assert!(
        log.ends_with("stdout F /made/for/me\nstdout F env\nstdout F env"),
        "{log}"
    );
    node.finish().await;
}

#[tokio::test]
async fn etc_files_are_made() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut sandbox = node.sandbox_config("etc");
    sandbox.dns = Some(DnsConfig {
        servers: vec!["10.43.0.10".into()],
        searches: vec![
            "default.svc.cluster.local".into(),
            "svc.cluster.local".into(),
        ],
        options: vec!["ndots:5".into()],
    });
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let config = node.container_config(
        "etc",
        "cat /etc/resolv.conf; ls /dev/shm; grep -c lo /etc/hosts",
    );
    let id = node.start_in(&sandbox, config).await;
    node.exited(&id).await;
    let log = node.log("etc");
    assert!(
        log.starts_with(
            "stdout F nameserver 10.43.0.10\n\
             stdout F search default.svc.cluster.local svc.cluster.local\n\
             stdout F options ndots:5"
        ),
        "{log}"
    );
    node.finish().await;
}

#[tokio::test]
async fn programs_that_cannot_run_are_start_errors() {
    let Some(node) = Node::new().await else {
        return;
    };
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("bad"))
        .await
        .unwrap();
    for (command, message) in [
        (
            "nope",
            r#"exec: "nope": executable file not found in $PATH"#,
        ),
        (
            "/no/such",
            r#"exec: "/no/such": stat /no/such: no such file or directory"#,
        ),
        ("/etc/passwd", r#"exec: "/etc/passwd": permission denied"#),
        ("/etc", r#"exec: "/etc": is a directory"#),
    ] {
        let mut config = node.container_config("bad", "");
        config.command = vec![command.to_owned()];
        let id = node
            .runtime
            .create_container(&sandbox, config)
            .await
            .unwrap();
        let error = node.runtime.start_container(&id).await.unwrap_err();
        assert!(
            matches!(&error, Error::Start(text) if text == message),
            "{error}"
        );
        let status = node.runtime.container_status(&id).await.unwrap();
        assert_eq!(
            (status.state, status.exit_code),
            (ContainerState::Exited, 128)
        );
        assert_eq!(
            (status.reason.as_str(), status.message.as_str()),
            ("StartError", message)
        );
        node.runtime.remove_container(&id).await.unwrap();
    }
    let mut config = node.container_config("bad", "true");
    config.mounts.push(container::config::Mount {
        container_path: "/x".into(),
        host_path: "/no/such/source".into(),
        ..Default::default()
    });
    let id = node
        .runtime
        .create_container(&sandbox, config)
        .await
        .unwrap();
    let error = node.runtime.start_container(&id).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("mount /no/such/source: No such file"),
        "{error}"
    );
    node.finish().await;
}

#[tokio::test]
async fn signals_end_a_container_and_deafness_does_not_save_it() {
    let Some(node) = Node::new().await else {
        return;
    };
    let polite = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let (_, id) = node.start(node.container_config("polite", polite)).await;
    until("it is ready", async || node.log("polite").contains("ready")).await;
    node.runtime.stop_container(&id, BOUND).await.unwrap();
    let status = node.runtime.container_status(&id).await.unwrap();
    assert_eq!(
        (status.state, status.exit_code),
        (ContainerState::Exited, 3)
    );
    assert!(node.log("polite").ends_with("stdout F bye"));

    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let (_, id) = node.start(node.container_config("deaf", deaf)).await;
    until("it is ready", async || node.log("deaf").contains("ready")).await;
    node.runtime
        .stop_container(&id, Duration::from_millis(100))
        .await
        .unwrap();
    let status = node.runtime.container_status(&id).await.unwrap();
    assert_eq!(
        (status.exit_code, status.signal, status.reason.as_str()),
        (137, Some(9), "Error")
    );

    let mut usr1 = node.container_config(
        "usr1",
        "trap 'exit 10' USR1; echo ready; while :; do sleep 0.05; done",
    );
    usr1.image.defaults.stop_signal = "SIGUSR1".into();
    let (_, id) = node.start(usr1).await;
    until("it is ready", async || node.log("usr1").contains("ready")).await;
    node.runtime.stop_container(&id, BOUND).await.unwrap();
    assert_eq!(
        node.runtime.container_status(&id).await.unwrap().exit_code,
        10
    );
    // Again, and for what is gone.
    node.runtime.stop_container(&id, BOUND).await.unwrap();
    node.runtime.remove_container(&id).await.unwrap();
    node.runtime.remove_container(&id).await.unwrap();
    node.runtime.stop_container(&id, BOUND).await.unwrap();
    node.finish().await;
}

#[tokio::test]
async fn a_rotated_log_goes_on_in_a_new_file() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two";
    let (_, id) = node.start(node.container_config("rotate", script)).await;
    until("it has spoken", async || node.log("rotate").contains("one")).await;
    let path = node
        .runtime
        .container_status(&id)
        .await
        .unwrap()
        .log_path
        .unwrap();
    let old = path.with_extension("log.1");
    std::fs::rename(&path, &old).unwrap();
    node.runtime.reopen_log(&id).await.unwrap();
    node.sh(&id, "touch /tmp/go").await;
    node.exited(&id).await;
    assert_eq!(node.log("rotate"), "stdout F two");
    assert!(
        std::fs::read_to_string(old)
            .unwrap()
            .ends_with("stdout F one\n")
    );
    node.finish().await;
}

#[tokio::test]
async fn much_output_arrives_whole() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (_, log) = node.script("seq 1 20000; seq 1 20000 >&2").await;
    let count = |stream: &str| log.lines().filter(|line| line.starts_with(stream)).count();
    assert_eq!((count("stdout F"), count("stderr F")), (20000, 20000));
    let (_, log) = node
        .script("head -c 100000 /dev/zero | tr '\\0' x; echo")
        .await;
    let sizes: Vec<_> = log
        .lines()
        .map(|line| (&line[..8], line.len() - 9))
        .collect();
    assert_eq!(sizes.len(), 7);
    assert!(sizes[..6].iter().all(|size| *size == ("stdout P", 16384)));
    assert_eq!(sizes[6], ("stdout F", 100_000 - 6 * 16384));
    node.finish().await;
}

#[tokio::test]
async fn life_is_told_in_events() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut events = node.runtime.events();
    let (sandbox, id) = node.start(node.container_config("events", "exit 0")).await;
    node.exited(&id).await;
    node.runtime.remove_sandbox(&sandbox).await.unwrap();
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert_eq!(
            (event.sandbox_id.as_str(), event.pod_uid.as_str()),
            (&*sandbox, "uid-events")
        );
        seen.push((event.kind, event.container_id.is_some()));
    }
    use EventKind::{Created, Deleted, Started, Stopped};
    assert_eq!(
        seen,
        [
            (Created, false),
            (Created, true),
            (Started, true),
            (Stopped, true),
            (Stopped, false),
            (Deleted, true),
            (Deleted, false)
        ]
    );
    node.finish().await;
}

#[tokio::test]
async fn containers_of_a_pod_share_what_a_pod_shares() {
    let Some(node) = Node::new().await else {
        return;
    };
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("pod"))
        .await
        .unwrap();
    let one = node
        .start_in(&sandbox, node.container_config("one", "sleep 1000"))
        .await;
    let two = node
        .start_in(&sandbox, node.container_config("two", "sleep 1000"))
        .await;
    for kind in ["net", "uts", "ipc"] {
        let script = format!("readlink /proc/self/ns/{kind}");
        assert_eq!(
            node.sh(&one, &script).await,
            node.sh(&two, &script).await,
            "{kind}"
        );
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(
            node.sh(&one, &script).await,
            host.to_str().unwrap(),
            "{kind}"
        );
    }
    for kind in ["mnt", "pid"] {
        let script = format!("readlink /proc/self/ns/{kind}");
        assert_ne!(
            node.sh(&one, &script).await,
            node.sh(&two, &script).await,
            "{kind}"
        );
    }
    node.sh(&one, "echo hello > /dev/shm/greeting; echo mine > /tmp/x")
        .await;
    assert_eq!(
        node.sh(&two, "cat /dev/shm/greeting; ls /tmp").await,
        "hello"
    );
    // The first process is number one, and of the others nothing is seen.
    assert_eq!(
        node.sh(&one, "ps -o pid,args | grep -c '[s]leep'; cat /proc/1/comm")
            .await,
        "1\nsleep"
    );
    // The loopback link is up and can be used, from one container to the other.
    let server = "echo pong | nc -l -p 7777 >/dev/null & for i in 1 2 3 4 5 6 7 8 9; do \
                  netstat -ltn | grep -q 7777 && break; sleep 0.1; done; echo ok";
    assert_eq!(node.sh(&one, server).await, "ok");
    assert_eq!(node.sh(&two, "echo ping | nc 127.0.0.1 7777").await, "pong");
    // The network can be entered by its pinned path.
    let netns = node
        .runtime
        .sandbox_status(&sandbox)
        .await
        .unwrap()
        .netns
        .unwrap();
    let inode = |path: &std::path::Path| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).unwrap().ino()
    };
    let inside = node.sh(&one, "readlink /proc/self/ns/net").await;
    assert_eq!(inside, format!("net:[{}]", inode(&netns)));
    node.finish().await;
}

#[tokio::test]
async fn a_given_network_is_joined() {
    let Some(node) = Node::new().await else {
        return;
    };
    let other = node
        .runtime
        .run_sandbox(node.sandbox_config("other"))
        .await
        .unwrap();
    let netns = node.runtime.sandbox_status(&other).await.unwrap().netns;
    let mut config = node.sandbox_config("joined");
    config.namespaces.netns = netns.clone();
    let sandbox = node.runtime.run_sandbox(config).await.unwrap();
    assert_eq!(
        node.runtime.sandbox_status(&sandbox).await.unwrap().netns,
        netns
    );
    let one = node
        .start_in(&other, node.container_config("one", "sleep 1000"))
        .await;
    let two = node
        .start_in(&sandbox, node.container_config("two", "sleep 1000"))
        .await;
    let script = "readlink /proc/self/ns/net";
    assert_eq!(node.sh(&one, script).await, node.sh(&two, script).await);
    node.runtime.remove_sandbox(&sandbox).await.unwrap();
    assert_eq!(node.sh(&one, "hostname").await, "other");
    node.finish().await;
}

#[tokio::test]
async fn a_monitor_stands_alone() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (sandbox, _) = node
        .start(node.container_config("alone", "sleep 1000"))
        .await;
    let pid = node
        .runtime
        .sandbox_status(&sandbox)
        .await
        .unwrap()
        .monitor_pid
        .unwrap();
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let stat = read("stat");
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // Session and group are its own, and it has one thread.
    assert_eq!(
        (fields[2], fields[3], fields[17]),
        (&*pid.to_string(), &*pid.to_string(), "1")
    );
    let own = format!("{}/monitors/{sandbox}", node.cgroup);
    until("it is in its own cgroups", async || {
        read("cgroup").lines().all(|line| line.ends_with(&own))
    })
    .await;
    assert!(read("environ").is_empty());
    // Its descriptors are the sandbox's, none of this process.
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .flatten();
    let targets = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    for target in targets.map(|target| target.to_string_lossy().into_owned()) {
        let known = ["/dev/null", "pipe:", "socket:", "anon_inode:", "pid:"];
        let ours = target.contains("/monitor.log") || target.contains("/0.log");
        assert!(
            ours || known.iter().any(|start| target.starts_with(start)),
            "{target}"
        );
    }
    let memory = read("status");
    let line = memory
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    eprintln!("a monitor's own memory: {line}");
    node.finish().await;
}

#[tokio::test]
async fn processes_can_be_shared() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut sandbox = node.sandbox_config("shared");
    sandbox.namespaces.pid = NamespaceMode::Pod;
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let one = node
        .start_in(&sandbox, node.container_config("one", "sleep 1111"))
        .await;
    let mut config = node.container_config("two", "sleep 2222");
    config.security.add_capabilities = vec!["SYS_PTRACE".into()];
    let two = node.start_in(&sandbox, config).await;
    let seen = node.sh(&two, "ps -o pid,comm,args").await;
    assert!(
        seen.contains("sleep 1111") && seen.contains("sleep 2222"),
        "{seen}"
    );
    assert_eq!(
        node.sh(
            &two,
            "cat /proc/1/comm; ls /proc/1/root 2>/dev/null | wc -l"
        )
        .await,
        "pause\n0"
    );
    // One ends, the other stays.
    node.runtime
        .stop_container(&one, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(node.sh(&two, "ps -o args | grep -c '[s]leep'").await, "1");
    // Orphans are reaped.
    node.sh(&two, "sh -c '(sleep 0.05 &) ; exit 0'").await;
    until("the orphan is reaped", async || {
        node.sh(&two, "ps -o stat,args | grep -c '^[ ]*Z'").await == "0"
    })
    .await;
    node.finish().await;
}

#[tokio::test]
async fn an_ephemeral_container_sees_its_target() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (sandbox, target) = node
        .start(node.container_config("target", "sleep 4321"))
        .await;
    let mut config = node.container_config("debug", "ps -o pid,args");
    config.pid = Some(NamespaceMode::Target(target));
    let id = node.start_in(&sandbox, config).await;
    node.exited(&id).await;
    let path = node.path("logs/target/debug/0.log");
    assert!(
        std::fs::read_to_string(path)
            .unwrap()
            .contains("1 sleep 4321")
    );
    node.finish().await;
}

#[tokio::test]
async fn the_host_can_be_shared() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut config = node.sandbox_config("host");
    config.namespaces.network = NamespaceMode::Node;
    config.namespaces.pid = NamespaceMode::Node;
    config.namespaces.ipc = NamespaceMode::Node;
    let sandbox = node.runtime.run_sandbox(config).await.unwrap();
    assert_eq!(
        node.runtime.sandbox_status(&sandbox).await.unwrap().netns,
        None
    );
    // What it starts in the background must die with it.
    let script = "sleep 98765 & sleep 98765";
    let id = node
        .start_in(&sandbox, node.container_config("host", script))
        .await;
    for kind in ["net", "uts", "ipc", "pid"] {
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let inside = node
            .sh(&id, &format!("readlink /proc/self/ns/{kind}"))
            .await;
        assert_eq!(inside, host.to_str().unwrap());
    }
    node.runtime
        .stop_container(&id, Duration::ZERO)
        .await
        .unwrap();
    node.finish().await;
}

#[tokio::test]
async fn sandboxes_are_stopped_and_listed() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (sandbox, id) = node
        .start(node.container_config("list", "sleep 1000"))
        .await;
    let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(status.state, SandboxState::Ready);
    node.runtime.stop_sandbox(&sandbox).await.unwrap();
    node.runtime.stop_sandbox(&sandbox).await.unwrap();
    let status = node.runtime.sandbox_status(&sandbox).await.unwrap();
    assert_eq!(
        (status.state, status.monitor_pid),
        (SandboxState::NotReady, None)
    );
    let status = node.runtime.container_status(&id).await.unwrap();
    assert_eq!(
        (status.state, status.exit_code),
        (ContainerState::Exited, 137)
    );
    let config = node.container_config("late", "true");
    let error = node
        .runtime
        .create_container(&sandbox, config)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::WrongState { .. }));
    node.runtime.remove_sandbox(&sandbox).await.unwrap();
    node.runtime.remove_sandbox(&sandbox).await.unwrap();
    assert!(
        node.runtime
            .sandbox_status(&sandbox)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        node.runtime
            .container_status(&id)
            .await
            .unwrap_err()
            .is_not_found()
    );
    node.finish().await;
}
