//! Version 2 against plain files, version 1 or hybrid against the kernel.

use std::fs;

use super::*;

#[test]
fn paths_stay_below_their_root() {
    let cgroups = Cgroups {
        v1: Vec::new(),
        unified: Some(PathBuf::from("/nowhere")),
    };
    assert_eq!(cgroups.group("/a/b").unwrap().path(), "/a/b");
    for path in ["", "/", "/a/../b", "a//b", "/./a"] {
        assert!(cgroups.group(path).is_err(), "{path}");
    }
}

#[test]
fn shares_become_weights() {
    for (shares, weight) in [(2, 1), (1024, 100), (262_144, 10_000), (1 << 20, 10_000)] {
        assert_eq!(limits::weight(shares), weight, "{shares}");
    }
}

/// Files as the kernel would make them in a group of version 2.
fn group_of_files(root: &Path, files: &[(&str, &str)]) -> Group {
    let cgroups = Cgroups {
        v1: Vec::new(),
        unified: Some(root.to_owned()),
    };
    let group = cgroups.group("/pod/one").unwrap();
    fs::create_dir_all(root.join("pod/one")).unwrap();
    for (file, text) in files {
        fs::write(root.join("pod/one").join(file), text).unwrap();
    }
    group
}

#[test]
fn version_2_spells_limits_its_own_way() {
    let root = tempfile::tempdir().unwrap();
    let names = [
        "memory.max",
        "memory.swap.max",
        "cpu.weight",
        "cpu.max",
        "pids.max",
        "memory.oom.group",
    ];
    let group = group_of_files(root.path(), &names.map(|name| (name, "")));
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        cpu_shares: Some(512),
        cpu_quota_us: Some(50_000),
        pids: Some(20),
        unified: [("memory.oom.group".to_owned(), "1".to_owned())].into(),
        ..Limits::default()
    };
    group.apply(&limits).unwrap();
    let held = |name: &str| fs::read_to_string(root.path().join("pod/one").join(name)).unwrap();
    let all = names.map(|name| format!("{name}={}", held(name)));
    assert_eq!(
        all.join(" "),
        "memory.max=67108864 memory.swap.max=0 cpu.weight=59 cpu.max=50000 100000 pids.max=20 memory.oom.group=1"
    );
    let escape = Limits {
        unified: [("../x.y".to_owned(), String::new())].into(),
        ..Limits::default()
    };
    assert!(matches!(group.apply(&escape), Err(Error::Unsupported(_))));
}

#[test]
fn version_2_delegates_its_controllers() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
    fs::write(root.path().join("cgroup.subtree_control"), "cpu\n").unwrap();
    let group = Cgroups::version_2(root.path().to_owned())
        .group("/pod")
        .unwrap();
    group.create().unwrap();
    let control = fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap();
    assert_eq!(control, "+memory");
    assert!(group.exists() && group.version() == 2);
    assert_eq!(group.views(), [(String::new(), root.path().join("pod"))]);
}

#[test]
fn version_2_use_is_read() {
    let root = tempfile::tempdir().unwrap();
    let group = group_of_files(
        root.path(),
        &[
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            (
                "memory.stat",
                "anon 400\nfile 500\ninactive_file 300\npgfault 7\npgmajfault 1\n",
            ),
            ("memory.events", "low 0\noom 2\noom_kill 2\n"),
            ("pids.current", "3\n"),
        ],
    );
    let usage = group.usage().unwrap();
    assert_eq!(
        (usage.cpu_ns, usage.working_set_bytes, usage.rss_bytes),
        (1_500_000, 700, 400)
    );
    assert_eq!(
        (usage.memory_limit_bytes, usage.pids, usage.page_faults),
        (None, 3, 7)
    );
    assert_eq!(group.oom_kills().unwrap(), 2);
}

/// A group of this machine that is removed at the end.
struct Real(Group);

impl Real {
    fn new(name: &str) -> Option<Real> {
        let cgroups = Cgroups::detect().ok()?;
        let group = cgroups
            .group(&format!("/tiphys-test-{}-{name}", std::process::id()))
            .ok()?;
        if let Err(error) = group.create() {
            eprintln!("skipped: cannot make a cgroup: {error}");
            return None;
        }
        Some(Real(group))
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.remove();
    }
}

#[test]
fn a_real_group_holds_limits_and_kills() {
    let Some(real) = Real::new("kill") else {
        return;
    };
    let child = real.0.child("inner").unwrap();
    child.create().unwrap();
    let limits = Limits {
        memory_bytes: Some(32 << 20),
        cpu_shares: Some(512),
        cpu_quota_us: Some(20_000),
        pids: Some(10),
        ..Limits::default()
    };
    child.apply(&limits).unwrap();
    // Lowering and raising must both find their order.
    child
        .apply(&Limits {
            memory_bytes: Some(16 << 20),
            ..Limits::default()
        })
        .unwrap();
    child
        .apply(&Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        })
        .unwrap();
    let mut process = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    child.attach(process.id().try_into().unwrap()).unwrap();
    assert_eq!(
        real.0.processes().unwrap(),
        [i32::try_from(process.id()).unwrap()]
    );
    assert!(child.remove().is_err());
    let usage = child.usage().unwrap();
    assert_eq!((usage.pids, usage.memory_limit_bytes), (1, Some(64 << 20)));
    assert_eq!(child.oom_kills().unwrap(), 0);
    real.0.kill().unwrap();
    assert!(!process.wait().unwrap().success());
    real.0.remove().unwrap();
    assert!(!real.0.exists());
    real.0.remove().unwrap();
}

#[test]
fn devices_are_denied() {
    let Some(real) = Real::new("devices") else {
        return;
    };
    let null = DeviceRule {
        kind: DeviceKind::Char,
        major: Some(1),
        minor: Some(3),
        access: Access::ALL,
    };
    real.0.set_devices(&[null]).unwrap();
    // Moves itself in, then tries an allowed and a denied device.
    let script = "read go; cat /dev/null && ! cat /dev/zero | head -c 1 | grep -q .";
    let mut process = std::process::Command::new("sh")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    real.0.attach(process.id().try_into().unwrap()).unwrap();
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}
