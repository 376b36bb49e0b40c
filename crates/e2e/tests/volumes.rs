//! Volumes: where their content comes from, how it changes and whose it is.

use e2e::{Options, Scope, suite, with_cluster};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            (
                "absent_sources_hold_a_pod_back",
                absent_sources_hold_a_pod_back,
            ),
            (
                "empty_dirs_are_shared_and_limited",
                empty_dirs_are_shared_and_limited,
            ),
            ("files_of_objects_follow_them", files_of_objects_follow_them),
            ("groups_own_volumes", groups_own_volumes),
            ("host_paths_are_checked", host_paths_are_checked),
            ("images_are_volumes", images_are_volumes),
            (
                "images_that_cannot_be_had_hold_back_who_mounts_them",
                images_that_cannot_be_had_hold_back_who_mounts_them,
            ),
            ("items_and_modes_are_chosen", items_and_modes_are_chosen),
            ("labels_are_files_that_follow", labels_are_files_that_follow),
            (
                "projected_sources_come_together",
                projected_sources_come_together,
            ),
            ("sub_paths_are_mounted", sub_paths_are_mounted),
            (
                "too_much_in_an_empty_dir_ends_a_pod",
                too_much_in_an_empty_dir_ends_a_pod,
            ),
        ],
        &[(
            "an_image_volume_outlives_its_name_and_the_server",
            an_image_volume_outlives_its_name_and_the_server,
        )],
    )
}

/// Mounts of the machine that lie in a pod's directory.
fn mounts_of(uid: &str) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
    let of_pod = table.lines().filter(|line| line.contains(uid));
    of_pod.map(String::from).collect()
}

fn images_are_volumes(t: &Scope) {
    t.ready_pod(
        "reads",
        "
        containers:
        - {name: one, image: tools:1, command: [sleep, '3600'], env: [{name: PART, value: bin}],
           volumeMounts: [{name: web, mountPath: /web}, {name: box, mountPath: /part, subPathExpr: $(PART)}]}
        - {name: two, image: tools:1, command: [sleep, '3600'],
           volumeMounts: [{name: box, mountPath: /box}, {name: web, mountPath: /conf, subPath: etc/nginx}]}
        volumes:
        - {name: web, image: {reference: 'nginx:1.22'}}
        - {name: box, image: {reference: busybox:1.35, pullPolicy: Never}}
        ",
    );
    let policies = t.field("pod reads", "{.spec.volumes[*].image.pullPolicy}");
    assert_eq!(policies, "IfNotPresent Never");
    let message = t.event("reads", "Pulled")["message"].clone();
    assert!(
        message.as_str().is_some_and(
            |m| m.ends_with("already present on machine and can be accessed by the pod")
        ),
        "{message}"
    );
    let run = |container: &str, script: &str| {
        t.run(&format!("exec reads -c {container} -- sh -c '{script}'"))
    };
    // The layers lie over each other: nginx is on top of a busybox.
    let found = run(
        "one",
        "ls /web/usr/sbin/nginx /web/bin/busybox /part/busybox",
    );
    assert!(found.is_ok(), "{found:?}");
    assert!(run("two", "ls /conf/nginx.conf /box/bin/busybox").is_ok());
    for (container, place) in [("one", "/web"), ("one", "/part"), ("two", "/box")] {
        let written = run(container, &format!("touch {place}/x"));
        assert!(
            written.stderr.contains("Read-only file system"),
            "{written:?}"
        );
        let mounts = run(container, &format!("grep \" {place} \" /proc/mounts")).stdout;
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            let has = mounts.split([' ', ',']).any(|word| word == option);
            assert!(has, "{option} in {mounts}");
        }
    }
    let started = run("two", "/box/bin/busybox true");
    assert!(started.stderr.contains("Permission denied"), "{started:?}");
    let uid = t.field("pod reads", "{.metadata.uid}");
    assert_eq!(
        mounts_of(&uid)
            .iter()
            .filter(|m| m.contains("kubernetes.io~image"))
            .count(),
        2
    );
    t.ok("delete pod reads --grace-period=1");
    e2e::until("nothing is mounted any more", || mounts_of(&uid).is_empty());
}

fn images_that_cannot_be_had_hold_back_who_mounts_them(t: &Scope) {
    t.pod(
        "half",
        "
        containers:
        - {name: held, image: busybox:1.35, command: [sleep, '3600'], volumeMounts: [{name: absent, mountPath: /x}]}
        - {name: free, image: busybox:1.35, command: [sleep, '3600']}
        volumes: [{name: absent, image: {reference: 'absent:1', pullPolicy: Never}}]
        ",
    );
    let path = |name: &str, what: &str| {
        format!("{{.status.containerStatuses[?(@.name==\"{name}\")].state.{what}}}")
    };
    t.wait_field(
        "pod half",
        &path("held", "waiting.reason"),
        "ErrImageNeverPull",
    );
    let message = "Container image \"absent:1\" is not present with pull policy of Never";
    assert_eq!(
        t.field("pod half", &path("held", "waiting.message")),
        message
    );
    assert_eq!(t.event("half", "ErrImageNeverPull")["message"], message);
    assert_eq!(
        t.event("half", "Failed")["message"],
        "Error: ErrImageNeverPull"
    );
    e2e::until("the other container runs", || {
        !t.field("pod half", &path("free", "running.startedAt"))
            .is_empty()
    });
    t.pod(
        "missing",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], volumeMounts: [{name: box, mountPath: /x, subPath: not/there}]}
        volumes: [{name: box, image: {reference: busybox:1.35}}]
        ",
    );
    let waiting = path("main", "waiting.reason");
    t.wait_field("pod missing", &waiting, "CreateContainerError");
    let message = t.field("pod missing", &path("main", "waiting.message"));
    let (head, tail) = (
        "failed to mount image volume: ImageVolumeMountFailed: failed to ensure image subpath \"not/there\" in ",
        "No such file or directory (os error 2)",
    );
    assert!(
        message.starts_with(head) && message.ends_with(tail),
        "{message}"
    );
    assert_eq!(
        t.event("missing", "Failed")["message"],
        format!("Error: {message}")
    );
    assert_eq!(t.field("pod missing", &path("main", "running")), "");
    let refused = t.feed(
        "apply -f -",
        &e2e::pod(
            "wrong",
            "
            containers:
            - {name: main, image: busybox:1.35}
            volumes: [{name: box, image: {pullPolicy: Sometimes}}]
            ",
        ),
    );
    for complaint in [
        "spec.volumes[0].image.reference: Required value",
        "spec.volumes[0].image.pullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
    ] {
        assert!(refused.stderr.contains(complaint), "{refused:?}");
    }
}

fn an_image_volume_outlives_its_name_and_the_server() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let pod = e2e::pod(
            "reads",
            "
            containers:
            - {name: main, image: busybox:1.35, command: [sh, -c, 'trap exit TERM; sleep 3600 & wait'], volumeMounts: [{name: web, mountPath: /web}]}
            volumes: [{name: web, image: {reference: 'nginx:1.22'}}]
            ",
        );
        kubectl.apply(&pod);
        kubectl.ok("wait pod/reads --for=condition=Ready --timeout=60s");
        let removed = cluster.tiphys(&format!("image rm {}", e2e::NGINX));
        assert!(removed.is_ok(), "{removed:?}");
        let listed = cluster.tiphys("image ls").stdout;
        assert!(!listed.contains("nginx"), "{listed}");
        let read = "exec reads -- ls /web/usr/sbin/nginx";
        assert!(cluster.kubectl().within("default").run(read).is_ok());
        cluster.kill_server();
        cluster.start_server();
        cluster.wait_for_node();
        let kubectl = cluster.kubectl().within("default");
        e2e::until("the adopted pod still reads", || kubectl.run(read).is_ok());
        // A container that starts again has the same volume, though its image is gone.
        let count = "get pod reads -o jsonpath='{.status.containerStatuses[0].restartCount}'";
        assert_eq!(kubectl.ok(count), "0");
        kubectl.run("exec reads -- kill 1");
        e2e::until("the container starts again", || kubectl.ok(count) != "0");
        e2e::until("and reads", || kubectl.run(read).is_ok());
        let uid = kubectl.ok("get pod reads -o jsonpath='{.metadata.uid}'");
        kubectl.ok("delete pod reads --grace-period=1");
        e2e::until("nothing is mounted any more", || mounts_of(&uid).is_empty());
    });
}

fn too_much_in_an_empty_dir_ends_a_pod(t: &Scope) {
    t.pod(
        "hoards",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'dd if=/dev/zero of=/data/big bs=1M count=3; sleep 3600'],
           volumeMounts: [{name: data, mountPath: /data}]}
        volumes: [{name: data, emptyDir: {sizeLimit: 1Mi}}]
        ",
    );
    t.wait_field("pod hoards", "{.status.phase}", "Failed");
    assert_eq!(t.field("pod hoards", "{.status.reason}"), "Evicted");
    let message = "Usage of EmptyDir volume \"data\" exceeds the limit \"1Mi\". ";
    assert_eq!(t.field("pod hoards", "{.status.message}"), message);
    assert_eq!(t.event("hoards", "Evicted")["message"], message);
}

fn absent_sources_hold_a_pod_back(t: &Scope) {
    t.pod(
        "waits",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], volumeMounts: [{name: cm, mountPath: /cm}]}
        volumes: [{name: cm, configMap: {name: later}}]
        ",
    );
    let message = t.event("waits", "FailedMount")["message"].clone();
    let expected = "MountVolume.SetUp failed for volume \"cm\" : configmap \"later\" not found";
    assert_eq!(message, expected);
    let table = t.ok("get pod waits");
    assert!(table.contains("ContainerCreating"), "{table}");
    t.pod(
        "refers",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], envFrom: [{configMapRef: {name: later}}]}
        ",
    );
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    t.wait_field("pod refers", reason, "CreateContainerConfigError");
    t.ok("create configmap later --from-literal=a=b");
    t.wait_ready("waits");
    t.wait_ready("refers");
}

fn empty_dirs_are_shared_and_limited(t: &Scope) {
    t.ready_pod(
        "shares",
        "
        containers:
        - {name: one, image: busybox:1.35, command: [sh, -c, 'echo hello > /disk/x; echo quick > /mem/y; sleep 3600'],
           volumeMounts: [{name: disk, mountPath: /disk}, {name: mem, mountPath: /mem}]}
        - {name: two, image: busybox:1.35, command: [sleep, '3600'],
           volumeMounts: [{name: disk, mountPath: /disk, readOnly: true}, {name: mem, mountPath: /mem}]}
        volumes:
        - {name: disk, emptyDir: {}}
        - {name: mem, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
        ",
    );
    let two = |script: &str| t.run(&format!("exec shares -c two -- sh -c '{script}'"));
    e2e::until("the files are there", || {
        two("cat /disk/x /mem/y").stdout == "hello\nquick\n"
    });
    assert!(two("grep /mem /proc/mounts").stdout.contains("tmpfs"));
    assert!(
        two("touch /disk/z")
            .stderr
            .contains("Read-only file system")
    );
    assert!(
        two("dd if=/dev/zero of=/mem/big bs=1M count=2")
            .stderr
            .contains("No space left")
    );
}

fn files_of_objects_follow_them(t: &Scope) {
    t.ok("create configmap pages --from-literal=page=old");
    t.ok("create secret generic keys --from-literal=key=old");
    t.ready_pod(
        "follows",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'],
           volumeMounts: [{name: pages, mountPath: /pages}, {name: keys, mountPath: /keys}]}
        volumes:
        - {name: pages, configMap: {name: pages}}
        - {name: keys, secret: {secretName: keys}}
        ",
    );
    assert_eq!(t.sh_ok("follows", "cat /pages/page /keys/key"), "oldold");
    assert!(
        t.sh_ok("follows", "grep /keys /proc/mounts")
            .contains("tmpfs")
    );
    t.ok(r#"patch configmap pages -p '{"data": {"page": "new", "more": "x"}}'"#);
    t.ok(r#"patch secret keys -p '{"stringData": {"key": "new"}}'"#);
    t.sh_until("follows", "cat /pages/page /pages/more /keys/key", |said| {
        said == "newxnew"
    });
}

fn groups_own_volumes(t: &Scope) {
    t.pod(
        "grouped",
        "
        restartPolicy: Never
        securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
        containers:
        - {name: main, image: busybox:1.35,
           command: [sh, -c, 'id; touch /work/mine; stat -c %g /work /work/mine; cat /keys/key; stat -Lc %a:%g /keys/key'],
           volumeMounts: [{name: work, mountPath: /work}, {name: keys, mountPath: /keys}]}
        volumes:
        - {name: work, emptyDir: {}}
        - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
        ",
    );
    t.ok("create secret generic keys --from-literal=key=open");
    let said = t.said_at_end("grouped");
    assert_eq!(
        said,
        "uid=1000 gid=1000 groups=1000,2000\n2000\n2000\nopen440:2000\n"
    );
}

fn host_paths_are_checked(t: &Scope) {
    let folder = t.cluster.beside("host");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("file"), "from outside\n").expect("a file");
    let spec = |kind: &str, name: &str| {
        format!(
            "
            restartPolicy: Never
            containers:
            - {{name: main, image: busybox:1.35, command: [sh, -c, 'cat /host/file; echo inside > /host/answer'], volumeMounts: [{{name: host, mountPath: /host}}]}}
            volumes: [{{name: host, hostPath: {{path: {}, type: {kind}}}}}]
            ",
            folder.join(name).display()
        )
    };
    t.pod("visitor", &spec("Directory", ""));
    assert_eq!(t.said_at_end("visitor"), "from outside\n");
    let answer = std::fs::read_to_string(folder.join("answer")).expect("an answer");
    assert_eq!(answer, "inside\n");
    t.pod("mistaken", &spec("Directory", "file"));
    let message = t.event("mistaken", "FailedMount")["message"].clone();
    assert!(
        message.as_str().is_some_and(
            |m| m.contains("hostPath type check failed") && m.ends_with("is not a directory")
        ),
        "{message}"
    );
}

fn items_and_modes_are_chosen(t: &Scope) {
    t.ok("create configmap many --from-literal=a=1 --from-literal=b=2");
    t.pod(
        "chosen",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'cd /cm; find . -follow -type f | grep -v /[.][.] | sort; stat -Lc %a deep/er; ls /none | wc -l'],
           volumeMounts: [{name: cm, mountPath: /cm}, {name: none, mountPath: /none}]}
        volumes:
        - {name: cm, configMap: {name: many, items: [{key: b, path: deep/er, mode: 0500}]}}
        - {name: none, secret: {secretName: absent, optional: true}}
        ",
    );
    assert_eq!(t.said_at_end("chosen"), "./deep/er\n500\n0\n");
}

fn labels_are_files_that_follow(t: &Scope) {
    t.ready_pod(
        "labelled",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600'], resources: {limits: {memory: 32Mi}}, volumeMounts: [{name: info, mountPath: /info}]}
        volumes:
        - name: info
          downwardAPI:
            items:
            - {path: labels, fieldRef: {fieldPath: metadata.labels}}
            - {path: name, fieldRef: {fieldPath: metadata.name}}
            - {path: memory, resourceFieldRef: {containerName: main, resource: limits.memory}}
        ",
    );
    assert_eq!(t.sh_ok("labelled", "cat /info/labels"), "app=\"labelled\"");
    assert_eq!(
        t.sh_ok("labelled", "cat /info/name /info/memory"),
        "labelled33554432"
    );
    t.ok("label pod labelled tier=deck");
    t.sh_until("labelled", "cat /info/labels", |said| {
        said.contains("tier=\"deck\"")
    });
}

fn projected_sources_come_together(t: &Scope) {
    t.ok("create configmap pages --from-literal=page=text");
    t.ok("create secret generic keys --from-literal=key=word");
    t.pod(
        "projected",
        "
        restartPolicy: Never
        containers:
        - {name: main, image: busybox:1.35, command: [sh, -c, 'cd /all; ls; cat page key name; cut -d. -f2 token | base64 -d 2>/dev/null | grep -o example.com/audience'],
           volumeMounts: [{name: all, mountPath: /all}]}
        volumes:
        - name: all
          projected:
            sources:
            - {configMap: {name: pages}}
            - {secret: {name: keys}}
            - {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
            - {serviceAccountToken: {path: token, audience: example.com/audience, expirationSeconds: 600}}
        ",
    );
    let said = t.said_at_end("projected");
    assert_eq!(
        said,
        "key\nname\npage\ntoken\ntextwordprojectedexample.com/audience\n"
    );
}

fn sub_paths_are_mounted(t: &Scope) {
    t.ok("create configmap pages --from-literal=page=text");
    t.pod(
        "sub",
        "
        restartPolicy: Never
        initContainers:
        - {name: fill, image: busybox:1.35, command: [sh, -c, 'mkdir -p /work/a/b; echo deep > /work/a/b/file'], volumeMounts: [{name: work, mountPath: /work}]}
        containers:
        - name: main
          image: busybox:1.35
          env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
          command: [sh, -c, 'cat /etc/page /deep/file; touch /own/x; ls /work']
          volumeMounts:
          - {name: pages, mountPath: /etc/page, subPath: page}
          - {name: work, mountPath: /deep, subPath: a/b}
          - {name: work, mountPath: /own, subPathExpr: $(POD)}
          - {name: work, mountPath: /work}
        volumes:
        - {name: pages, configMap: {name: pages}}
        - {name: work, emptyDir: {}}
        ",
    );
    assert_eq!(t.said_at_end("sub"), "textdeep\na\nsub\n");
}
