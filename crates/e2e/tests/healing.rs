//! What is killed comes back, and what is not killed stays.

use e2e::{
    Cluster, Kubectl, Options, Scope, eventually, patiently, pod, suite, until, with_cluster,
};
use rustix::process::{Pid, Signal, kill_process};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

fn main() -> ExitCode {
    suite(
        &[
            ("killed_monitors_come_back", killed_monitors_come_back),
            (
                "killed_processes_are_restarted",
                killed_processes_are_restarted,
            ),
        ],
        &[
            (
                "acknowledged_writes_survive_kill_9",
                acknowledged_writes_survive_kill_9,
            ),
            ("containers_survive_a_restart", || {
                containers_survive(Cluster::stop_server)
            }),
            ("containers_survive_kill_9", || {
                containers_survive(Cluster::kill_server)
            }),
            (
                "deaths_during_absence_are_noticed",
                deaths_during_absence_are_noticed,
            ),
            (
                "orders_during_absence_are_followed",
                orders_during_absence_are_followed,
            ),
            (
                "reset_keeps_data_and_pods_come_back",
                reset_keeps_data_and_pods_come_back,
            ),
        ],
    )
}

/// The process on this machine whose last argument is unique.
fn process(argument: &str) -> Option<u32> {
    let ending = format!("{argument}\0");
    let entries = std::fs::read_dir("/proc").expect("processes");
    entries.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        (line.starts_with(b"sleep\0") && line.ends_with(ending.as_bytes())).then_some(pid)
    })
}

fn parent(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|line| line.trim().parse().ok())
        .expect("a parent")
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    kill_process(pid, Signal::KILL).expect("kill");
}

fn sleeper(name: &str, seconds: &str) -> String {
    pod(
        name,
        &format!(
            "
            containers:
            - {{name: main, image: busybox:1.35, command: [sleep, '{seconds}']}}
            "
        ),
    )
}

/// A number that no other sleeper has.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(100);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{next}", std::process::id())
}

fn restarts(kubectl: &Kubectl, name: &str) -> u64 {
    let status = &kubectl.get(&format!("pod {name}"))["status"]["containerStatuses"][0];
    status["restartCount"].as_u64().unwrap_or(0)
}

fn killed_processes_are_restarted(t: &Scope) {
    let seconds = unique();
    t.apply(&sleeper("victim", &seconds));
    t.wait_ready("victim");
    let before = process(&seconds).expect("the process");
    kill(before);
    t.wait_field(
        "pod victim",
        "{.status.containerStatuses[0].restartCount}",
        "1",
    );
    let last =
        t.get("pod victim")["status"]["containerStatuses"][0]["lastState"]["terminated"].clone();
    assert_eq!(last["exitCode"], 137, "{last}");
    assert_eq!(last["reason"], "Error", "{last}");
    t.wait_ready("victim");
    let after = eventually("a new process", || process(&seconds));
    assert_ne!(before, after);
}

fn killed_monitors_come_back(t: &Scope) {
    let seconds = unique();
    t.apply(&sleeper("watched", &seconds));
    t.wait_ready("watched");
    let before = process(&seconds).expect("the process");
    let monitor = parent(before);
    assert_ne!(monitor, 1);
    kill(monitor);
    patiently(
        "another process, and one only",
        || process(&seconds),
        |now| now.is_some_and(|pid| pid != before && parent(pid) != monitor),
    );
    until("the old process is gone", || {
        !std::path::Path::new(&format!("/proc/{before}")).exists() || parent(before) != 1
    });
    t.wait_ready("watched");
    t.sh_until("watched", "echo alive", |said| said == "alive\n");
    t.ok("delete pod watched --timeout=30s");
    until("nothing is left", || process(&seconds).is_none());
}

/// Two pods, one of which has been restarted; their identities.
fn containers_survive(end: fn(&mut Cluster)) {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let (first, second) = (unique(), unique());
        kubectl.apply(&format!(
            "{}---\n{}",
            sleeper("calm", &first),
            sleeper("scarred", &second)
        ));
        kubectl.ok("run web --image=nginx:1.22");
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
        kill(process(&second).expect("the process"));
        patiently(
            "a restart",
            || restarts(&kubectl, "scarred"),
            |count| *count == 1,
        );
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
        let identities = || {
            let path = "{range .items[*]}{.metadata.name} {.metadata.uid} {.status.podIP} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}";
            kubectl.ok(&format!("get pods -o jsonpath='{path}'"))
        };
        let before = (identities(), process(&first), process(&second));
        let address = kubectl.ok("get pod web -o jsonpath='{.status.podIP}'");
        end(cluster);
        assert!(
            e2e::fetch(&address, 80, "/healthz").is_ok(),
            "the pod answers without its server"
        );
        cluster.start_server();
        cluster.wait_for_node();
        kubectl.ok("run late --image=nginx:1.22");
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
        kubectl.ok("delete pod late");
        assert_eq!((identities(), process(&first), process(&second)), before);
        assert_eq!(kubectl.ok("exec calm -- echo here"), "here\n");
        assert!(kubectl.ok("logs web").contains("start worker process"));
        kubectl.ok("delete pod calm scarred web --timeout=30s");
        until("they are gone", || {
            process(&first).is_none() && process(&second).is_none()
        });
    });
}

fn deaths_during_absence_are_noticed() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let (first, second) = (unique(), unique());
        kubectl.apply(&format!(
            "{}---\n{}",
            sleeper("one", &first),
            sleeper("two", &second)
        ));
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
        cluster.kill_server();
        let (one, two) = (
            process(&first).expect("one"),
            process(&second).expect("two"),
        );
        let monitor = parent(two);
        kill(one);
        kill(two);
        kill(monitor);
        cluster.start_server();
        for (name, seconds, old) in [("one", &first, one), ("two", &second, two)] {
            patiently(name, || restarts(&kubectl, name), |count| *count == 1);
            eventually("a new process", || {
                process(seconds).filter(|pid| *pid != old)
            });
        }
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
    });
}

/// What is deleted from the log while the node is away is ended when it is back.
fn orders_during_absence_are_followed() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let seconds = unique();
        kubectl.apply(&sleeper("doomed", &seconds));
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
        kubectl.ok("delete pod doomed --force --grace-period=0 --wait=false");
        cluster.kill_server();
        cluster.start_server();
        until("it has ended", || process(&seconds).is_none());
        assert!(kubectl.fails("get pod doomed").contains("NotFound"));
    });
}

fn acknowledged_writes_survive_kill_9() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let mut known = Vec::new();
        for round in 0..3 {
            let many: String = (0..40)
                .map(|n| {
                    format!(
                        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c-{round}-{n}}}\n---\n"
                    )
                })
                .collect();
            std::fs::write(cluster.beside("many.yaml"), many).expect("a manifest");
            let manifest = cluster.beside("many.yaml");
            let mut writer = kubectl.command(&format!("create -f {}", manifest.display()));
            let writer = writer
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null());
            let mut writer = writer.spawn().expect("start kubectl");
            let mut said = std::io::BufReader::new(writer.stdout.take().expect("its output"));
            for _ in 0..10 + round * 7 {
                let mut line = String::new();
                std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
                known.extend(
                    line.split_once(" created")
                        .map(|(name, _)| name.to_string()),
                );
            }
            cluster.kill_server();
            let mut rest = String::new();
            std::io::Read::read_to_string(&mut said, &mut rest).expect("the rest");
            writer.wait().expect("kubectl ends");
            known.extend(
                rest.lines()
                    .filter_map(|line| line.split_once(" created"))
                    .map(|(name, _)| name.to_string()),
            );
            cluster.start_server();
            let there = kubectl.ok("get configmaps -o name");
            let lost: Vec<_> = known
                .iter()
                .filter(|name| !there.lines().any(|line| line == *name))
                .collect();
            assert!(lost.is_empty(), "lost {lost:?}");
        }
        assert!(known.len() >= 30, "{known:?}");
    });
}

fn reset_keeps_data_and_pods_come_back() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let seconds = unique();
        kubectl.apply(&sleeper("lasting", &seconds));
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
        let refused = cluster.tiphys("reset");
        assert!(
            !refused.is_ok() && refused.stderr.contains("stop it first"),
            "{refused:?}"
        );
        cluster.stop_server();
        let reset = cluster.tiphys("reset");
        assert!(reset.is_ok(), "{reset:?}");
        assert!(process(&seconds).is_none());
        cluster.start_server();
        cluster.wait_for_node();
        eventually("it runs again", || process(&seconds));
        kubectl.ok("wait --for=condition=Ready pod --all --timeout=60s");
    });
}
