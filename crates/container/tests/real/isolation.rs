//! Users, capabilities, filters, file systems.

use std::fs;

use container::config::{Device, Mount, MountPropagation, ProcMount, Seccomp};
use container::{ContainerConfig, Error, Runtime};

use crate::node::Node;

fn with(node: &Node, script: &str, change: impl FnOnce(&mut ContainerConfig)) -> ContainerConfig {
    let mut config = node.container_config("secure", script);
    change(&mut config);
    config
}

/// The log without stream and tag.
fn plain(log: &str) -> String {
    log.lines()
        .filter_map(|line| line.get(9..))
        .collect::<Vec<_>>()
        .join("\n")
}

async fn output(node: &Node, script: &str, change: impl FnOnce(&mut ContainerConfig)) -> String {
    let (_, log) = node.run(with(node, script, change)).await;
    plain(&log)
}

#[tokio::test]
async fn users_are_those_of_the_image() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "id -u; id -g; id -G; echo $HOME";
    let out = output(&node, script, |_| {}).await;
    assert_eq!(out, "0\n0\n0\n/root");
    let out = output(&node, script, |config| {
        config.image.defaults.user = "web".into()
    })
    .await;
    assert_eq!(out, "33\n34\n34 50\n/home/web");
    let out = output(&node, script, |config| {
        config.security.run_as_user = Some(1000);
        config.security.run_as_group = Some(2000);
        config.security.supplemental_groups = vec![3000];
    })
    .await;
    assert_eq!(out, "1000\n2000\n2000 3000\n/");
    // An ordinary user can write to its own standard streams and to nowhere.
    let out = output(
        &node,
        "echo again > /dev/stdout; echo too > /dev/stderr; \
         for node in null zero full tty; do stat -c %a /dev/$node; done | sort -u; \
         echo nothing > /dev/null",
        |config| {
            config.security.run_as_user = Some(1000);
        },
    )
    .await;
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["666", "again", "too"]);
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("ghost"))
        .await
        .unwrap();
    let config = with(&node, "true", |config| {
        config.image.defaults.user = "ghost".into()
    });
    let id = node
        .runtime
        .create_container(&sandbox, config)
        .await
        .unwrap();
    let error = node.runtime.start_container(&id).await.unwrap_err();
    let expected = "unable to find user ghost: no matching entries in passwd file";
    assert!(
        matches!(&error, Error::Start(text) if text == expected),
        "{error}"
    );
    node.finish().await;
}

#[tokio::test]
async fn the_user_is_told() {
    let Some(node) = Node::new().await else {
        return;
    };
    let config = with(&node, "sleep 1000", |config| {
        config.image.defaults.user = "web".into()
    });
    let (_, id) = node.start(config).await;
    let user = node
        .runtime
        .container_status(&id)
        .await
        .unwrap()
        .user
        .unwrap();
    assert_eq!(
        (user.uid, user.gid, user.supplemental_groups),
        (33, 34, vec![34, 50])
    );
    assert_eq!(node.sh(&id, "id -u").await, "33");
    node.finish().await;
}

#[tokio::test]
async fn capabilities_are_limited() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | uniq";
    let out = output(&node, script, |_| {}).await;
    assert_eq!(out, "0000000000000000\n00000000a80425fb\n0000000000000000");
    let out = output(&node, "grep CapBnd /proc/self/status | cut -f2", |config| {
        config.security.drop_capabilities = vec!["ALL".into()];
        config.security.add_capabilities = vec!["NET_BIND_SERVICE".into(), "CAP_CHOWN".into()];
    })
    .await;
    assert_eq!(out, "0000000000000401");
    // An ordinary user has none in effect.
    let script = "grep -E 'Cap(Eff|Bnd)' /proc/self/status | cut -f2";
    let out = output(&node, script, |config| {
        config.security.run_as_user = Some(1000)
    })
    .await;
    assert_eq!(out, "0000000000000000\n00000000a80425fb");
    // chown needs its capability.
    let out = output(&node, "touch /tmp/x; chown 5 /tmp/x 2>&1", |config| {
        config.security.drop_capabilities = vec!["CHOWN".into()];
    })
    .await;
    assert!(out.contains("Operation not permitted"), "{out}");
    let out = output(
        &node,
        "grep NoNewPrivs /proc/self/status | cut -f2",
        |config| {
            config.security.no_new_privileges = true;
        },
    )
    .await;
    assert_eq!(out, "1");
    node.finish().await;
}

#[tokio::test]
async fn system_calls_are_filtered() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "grep '^Seccomp:' /proc/self/status | cut -f2; unshare -m true 2>&1; \
                  mkdir /tmp/made && echo made";
    let admin = |config: &mut ContainerConfig| config.security.run_as_user = Some(1000);
    let out = output(&node, script, |_| {}).await;
    assert!(out.starts_with("0\n") && out.ends_with("made"), "{out}");
    for no_new_privileges in [false, true] {
        let out = output(&node, script, |config| {
            config.security.seccomp = Seccomp::RuntimeDefault;
            config.security.no_new_privileges = no_new_privileges;
            admin(config);
        })
        .await;
        assert!(
            out.starts_with("2\n") && out.contains("Operation not permitted"),
            "{out}"
        );
    }
    let profile = node.path("profile.json");
    fs::write(
        &profile,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}"#,
    )
    .unwrap();
    let localhost = Seccomp::Localhost(profile.clone());
    let out = output(&node, "mkdir /tmp/made 2>&1", |config| {
        config.security.seccomp = localhost.clone();
    })
    .await;
    assert!(out.contains("No space left on device"), "{out}");
    // A command in the container is filtered like the container.
    let config = with(&node, "sleep 1000", |config| {
        config.security.seccomp = localhost.clone()
    });
    let (_, id) = node.start(config).await;
    assert!(
        node.sh(&id, "mkdir /tmp/made 2>&1")
            .await
            .contains("No space left")
    );
    fs::write(&profile, "{").unwrap();
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("torn"))
        .await
        .unwrap();
    let config = with(&node, "true", |config| config.security.seccomp = localhost);
    let id = node
        .runtime
        .create_container(&sandbox, config)
        .await
        .unwrap();
    let error = node
        .runtime
        .start_container(&id)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot parse the seccomp profile"),
        "{error}"
    );
    node.finish().await;
}

#[tokio::test]
async fn the_root_is_the_containers_own() {
    let Some(node) = Node::new().await else {
        return;
    };
    let out = output(
        &node,
        "echo new > /etc/new; cat /etc/new; rm /etc/group; ls /etc",
        |_| {},
    )
    .await;
    assert!(out.starts_with("new\n") && !out.contains("group"), "{out}");
    assert!(!node.path("rootfs/etc/new").exists() && node.path("rootfs/etc/group").exists());
    let script = "touch /file 2>&1; touch /dev/shm/ok && echo shm; ls -d /sys /proc /dev; \
                  touch /etc/hostname 2>&1";
    let out = output(&node, script, |config| {
        config.security.readonly_rootfs = true
    })
    .await;
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].contains("Read-only file system"), "{out}");
    assert_eq!(lines[1..5], ["shm", "/dev", "/proc", "/sys"]);
    assert!(lines[5].contains("Read-only file system"), "{out}");
    // Nothing of the host is seen.
    let out = output(&node, "ls /; cat /proc/self/mountinfo", |_| {}).await;
    assert!(!out.contains("rootfs") && out.contains(" / / rw"), "{out}");
    node.finish().await;
}

#[tokio::test]
async fn devices_and_kernel_files_are_those_of_a_container() {
    let Some(node) = Node::new().await else {
        return;
    };
    let out = output(&node, "ls /dev | tr '\\n' ' '", |_| {}).await;
    assert_eq!(
        out.trim(),
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    );
    let script = "cat /proc/keys | wc -c; echo 1 > /proc/sys/kernel/printk; ls /sys/firmware | wc -l; \
                  echo x > /sys/kernel/profiling; mknod /tmp/disk b 254 0 && cat /tmp/disk | wc -c";
    let out = output(&node, &format!("({script}) 2>&1"), |_| {}).await;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "0");
    assert!(lines[1].contains("Read-only file system"), "{out}");
    assert_eq!(lines[2], "0");
    assert!(
        lines[3].contains("Read-only") && lines[4].contains("not permitted"),
        "{out}"
    );
    let out = output(
        &node,
        "echo 1000 > /proc/sys/kernel/keys/maxkeys 2>&1; wc -c < /proc/keys",
        |config| {
            config.security.proc_mount = ProcMount::Unmasked;
        },
    )
    .await;
    assert!(!out.contains("Read-only"), "{out}");
    let out = output(
        &node,
        "ls -l /dev/mine; head -c 3 /dev/mine | wc -c",
        |config| {
            config.devices.push(Device {
                host_path: "/dev/zero".into(),
                container_path: "/dev/mine".into(),
                permissions: "r".into(),
            });
        },
    )
    .await;
    assert!(out.starts_with('c') && out.ends_with('3'), "{out}");
    node.finish().await;
}

#[tokio::test]
async fn a_privileged_container_may_do_much() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut sandbox = node.sandbox_config("secure");
    let refused = node.runtime.run_sandbox(sandbox.clone()).await.unwrap();
    let script = "mount -t tmpfs none /tmp && echo mounted; ls /dev | wc -l; \
                  grep '^Seccomp:' /proc/self/status | cut -f2; touch /sys/x 2>&1";
    let config = with(&node, script, |config| {
        config.security.privileged = true;
        config.security.seccomp = Seccomp::RuntimeDefault;
    });
    let error = node
        .runtime
        .create_container(&refused, config.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    sandbox.privileged = true;
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let id = node.start_in(&sandbox, config).await;
    node.exited(&id).await;
    let out = plain(&node.log("secure"));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "mounted");
    assert!(lines[1].parse::<u32>().unwrap() > 14, "{out}");
    assert_eq!(lines[2], "0");
    node.finish().await;
}

#[tokio::test]
async fn mounts_are_where_they_should_be() {
    let Some(node) = Node::new().await else {
        return;
    };
    let volume = node.path("volume");
    fs::create_dir_all(volume.join("below")).unwrap();
    fs::write(volume.join("file"), "content\n").unwrap();
    let mount = |from: &str, to: &str, readonly: bool| Mount {
        host_path: volume.join(from),
        container_path: to.into(),
        readonly,
        ..Mount::default()
    };
    let script = "cat /data/deep/er/file /etc/config; echo w > /data/deep/er/written; \
                  (echo w > /ro/x) 2>&1; cat /etc/hosts; ls /outer/inner";
    let out = output(&node, script, |config| {
        config.mounts = vec![
            mount("below", "/outer/inner", false),
            mount("", "/outer", false),
            mount("", "/data/deep/er", false),
            mount("file", "/etc/config", true),
            mount("", "/ro", true),
            mount("file", "/etc/hosts", false),
        ];
    })
    .await;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..2], ["content", "content"]);
    assert!(lines[2].contains("Read-only file system"), "{out}");
    assert_eq!(lines[3..], ["content"]);
    assert_eq!(fs::read_to_string(volume.join("written")).unwrap(), "w\n");
    node.finish().await;
}

#[tokio::test]
async fn a_sub_path_stays_below_its_volume() {
    let Some(node) = Node::new().await else {
        return;
    };
    let volume = node.path("volume");
    fs::create_dir_all(volume.join("real")).unwrap();
    fs::write(volume.join("real/file"), "content\n").unwrap();
    std::os::unix::fs::symlink("real", volume.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", volume.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../..", volume.join("up")).unwrap();
    let mount = |sub: &str| Mount {
        host_path: volume.clone(),
        sub_path: Some(sub.into()),
        container_path: "/data".into(),
        ..Mount::default()
    };
    let out = output(&node, "cat /data", |config| {
        config.mounts = vec![mount("link/file")]
    })
    .await;
    assert_eq!(out, "content");
    let out = output(&node, "touch /data/x", |config| {
        config.mounts = vec![mount("new/er")]
    })
    .await;
    assert_eq!(out, "");
    assert!(volume.join("new/er/x").exists());
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("below"))
        .await
        .unwrap();
    for sub in [
        "absolute",
        "absolute/new",
        "up",
        "up/new",
        "../volume2",
        "/etc",
    ] {
        let config = with(&node, "true", |config| config.mounts = vec![mount(sub)]);
        let id = node
            .runtime
            .create_container(&sandbox, config)
            .await
            .unwrap();
        assert!(node.runtime.start_container(&id).await.is_err(), "{sub}");
    }
    node.finish().await;
}

#[tokio::test]
async fn links_do_not_lead_out() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (outside, volume) = (node.path("outside"), node.path("volume"));
    fs::create_dir_all(&outside).unwrap();
    fs::create_dir_all(&volume).unwrap();
    fs::write(volume.join("mark"), "").unwrap();
    std::os::unix::fs::symlink(&outside, node.path("rootfs/escape")).unwrap();
    std::os::unix::fs::symlink("../../../../../..", node.path("rootfs/up")).unwrap();
    std::os::unix::fs::symlink("/proc/1/root", node.path("rootfs/magic")).unwrap();
    let mount = |to: &str| Mount {
        host_path: volume.clone(),
        container_path: to.into(),
        ..Mount::default()
    };
    let out = output(&node, "ls /escape /up/inside; ls -d /proc", |config| {
        config.mounts = vec![mount("/escape"), mount("/up/inside")];
    })
    .await;
    assert!(out.contains("mark"), "{out}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!std::path::Path::new("/inside").exists());
    // Over /proc nothing may be put, by whatever way it is reached.
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("proc"))
        .await
        .unwrap();
    std::os::unix::fs::symlink("/proc/sys", node.path("rootfs/sneak")).unwrap();
    let config = with(&node, "true", |config| {
        config.mounts = vec![mount("/sneak")]
    });
    let id = node
        .runtime
        .create_container(&sandbox, config)
        .await
        .unwrap();
    let error = node
        .runtime
        .start_container(&id)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("the mount point lies on /proc"), "{error}");
    // A working directory behind a descriptor of the host neither.
    let config = with(&node, "pwd", |config| {
        config.working_dir = "/proc/self/fd/5/../..".into()
    });
    let id = node
        .runtime
        .create_container(&sandbox, config)
        .await
        .unwrap();
    assert!(node.runtime.start_container(&id).await.is_err());
    node.finish().await;
}

#[tokio::test]
async fn mounts_pass_as_they_are_told_to() {
    let Some(node) = Node::new().await else {
        return;
    };
    let shared = node.path("shared");
    fs::create_dir_all(shared.join("below")).unwrap();
    rustix::mount::mount_bind(&shared, &shared).unwrap();
    let change = rustix::mount::MountPropagationFlags::SHARED;
    rustix::mount::mount_change(&shared, change).unwrap();
    let config = |propagation| {
        with(&node, "sleep 1000", |config| {
            config.mounts.push(Mount {
                host_path: shared.clone(),
                container_path: "/shared".into(),
                propagation,
                ..Mount::default()
            });
        })
    };
    let sandbox = node
        .runtime
        .run_sandbox(node.sandbox_config("passing"))
        .await
        .unwrap();
    let private = node
        .start_in(&sandbox, config(MountPropagation::Private))
        .await;
    let slave = node
        .start_in(&sandbox, config(MountPropagation::HostToContainer))
        .await;
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", shared.join("below"), "tmpfs", flags, c"").unwrap();
    fs::write(shared.join("below/seen"), "").unwrap();
    assert_eq!(node.sh(&private, "ls /shared/below").await, "");
    assert_eq!(node.sh(&slave, "ls /shared/below").await, "seen");
    linux::mount::unmount_below(&shared).unwrap();
    // What is not shared cannot be passed back.
    let id = node
        .runtime
        .create_container(&sandbox, config(MountPropagation::Bidirectional))
        .await;
    let error = node
        .runtime
        .start_container(&id.unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("but it is not a shared mount"), "{error}");
    node.finish().await;
}

#[tokio::test]
async fn kernel_parameters_are_the_sandboxs_own() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut sandbox = node.sandbox_config("sysctl");
    sandbox
        .sysctls
        .insert("net.ipv4.ip_unprivileged_port_start".into(), "70".into());
    sandbox
        .sysctls
        .insert("kernel.shm_rmid_forced".into(), "1".into());
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap();
    let before = read("net/ipv4/ip_unprivileged_port_start");
    let sandbox = node.runtime.run_sandbox(sandbox).await.unwrap();
    let script = "cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start kernel/shm_rmid_forced";
    let id = node
        .start_in(&sandbox, node.container_config("sysctl", "sleep 1000"))
        .await;
    assert_eq!(node.sh(&id, script).await, "70\n1");
    assert_eq!(read("net/ipv4/ip_unprivileged_port_start"), before);
    let mut bad = node.sandbox_config("bad");
    bad.sysctls.insert("net.no.such".into(), "1".into());
    let error = node.runtime.run_sandbox(bad).await.unwrap_err().to_string();
    assert!(error.contains("set sysctl net.no.such=1"), "{error}");
    node.finish().await;
}

#[tokio::test]
async fn many_layers_make_one_root() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut lower = Vec::new();
    for number in 0..100 {
        let layer = node.path(&format!(
            "layers/a-rather-long-name-of-a-layer-{number:060}"
        ));
        fs::create_dir_all(&layer).unwrap();
        fs::write(layer.join(format!("file{number}")), "").unwrap();
        fs::write(layer.join("top"), format!("{number}\n")).unwrap();
        lower.push(layer);
    }
    lower.push(node.path("rootfs"));
    let out = output(&node, "ls / | grep -c file; cat /top", |config| {
        config.image.rootfs.lower = lower;
    })
    .await;
    assert_eq!(out, "100\n0");
    node.finish().await;
}
