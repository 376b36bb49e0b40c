//! Images: archives come in, are listed, used and removed.

use e2e::{Options, Outcome, Scope, suite, with_cluster};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[("absent_images_are_reported", absent_images_are_reported)],
        &[(
            "archives_are_imported_listed_and_removed",
            archives_are_imported_listed_and_removed,
        )],
    )
}

fn absent_images_are_reported(t: &Scope) {
    let spec = |image: &str, policy: &str| {
        format!(
            "
            containers:
            - {{name: main, image: '{image}', imagePullPolicy: {policy}, command: [sleep, '3600']}}
            "
        )
    };
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    t.pod("never", &spec("absent:1", "Never"));
    t.wait_field("pod never", reason, "ErrImageNeverPull");
    let message = t.event("never", "ErrImageNeverPull")["message"].clone();
    assert_eq!(
        message,
        "Container image \"absent:1\" is not present with pull policy of Never"
    );
    t.pod("absent", &spec("absent:1", "IfNotPresent"));
    t.event("absent", "Pulling");
    let message = t.event("absent", "Failed")["message"].clone();
    assert!(
        message
            .as_str()
            .is_some_and(|m| m.starts_with("Failed to pull image \"absent:1\"")),
        "{message}"
    );
    t.wait_field("pod absent", reason, "ImagePullBackOff");
    let message = t.event("absent", "BackOff")["message"].clone();
    assert!(
        message
            .as_str()
            .is_some_and(|m| m.starts_with("Back-off pulling image \"absent:1\"")),
        "{message}"
    );
    t.pod("wrong", &spec("Not/A:Name:", "IfNotPresent"));
    t.wait_field("pod wrong", reason, "InvalidImageName");
    // Present and never to be pulled: it runs.
    t.ready_pod("present", &spec("busybox:1.35", "Never"));
    let message = t.event("present", "Pulled")["message"].clone();
    assert!(
        message.as_str().is_some_and(
            |m| m.starts_with("Container image \"busybox:1.35\" already present on machine")
        ),
        "{message}"
    );
}

fn archives_are_imported_listed_and_removed() {
    let options = Options {
        without_images: true,
        ..Options::default()
    };
    with_cluster(options, |cluster| {
        let ok = |arguments: &str| {
            let outcome: Outcome = cluster.tiphys(arguments);
            assert!(outcome.is_ok(), "{arguments}: {outcome:?}");
            outcome.stdout
        };
        let kubectl = cluster.kubectl().within("default");
        assert_eq!(ok("image ls").lines().count(), 1);
        kubectl.ok("run early --image=busybox:1.35 --image-pull-policy=Never -- sleep 3600");
        kubectl.ok("wait pod/early --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=ErrImageNeverPull --timeout=30s");
        let archive = cluster.beside("tests.tar");
        e2e::archive(&archive);
        let said = ok(&format!("image import {}", archive.display()));
        assert!(
            said.contains(e2e::BUSYBOX) && said.contains(e2e::NGINX),
            "{said}"
        );
        kubectl.ok("wait --for=condition=Ready pod/early --timeout=60s");
        let listed = ok("image ls");
        let row = listed
            .lines()
            .find(|line| line.starts_with("docker.io/library/busybox"))
            .expect("a row");
        assert_eq!(row.split_whitespace().nth(1), Some("1.35"));
        let node = kubectl.get(&format!("node {}", cluster.node()));
        e2e::until("the node lists it", || {
            let images =
                kubectl.get(&format!("node {}", cluster.node()))["status"]["images"].to_string();
            images.contains(e2e::NGINX)
        });
        assert!(node["status"]["capacity"]["pods"].is_string());
        ok(&format!("image rm {}", e2e::NGINX));
        assert!(!ok("image ls").contains("nginx"));
        let gone = cluster.tiphys(&format!("image rm {}", e2e::NGINX));
        assert!(!gone.is_ok() && gone.stderr.contains("nginx"), "{gone:?}");
        // What is not an archive changes nothing.
        let before = ok("image ls");
        let nonsense = cluster.beside("nonsense.tar");
        std::fs::write(&nonsense, "not an archive").expect("a file");
        let refused = cluster.tiphys(&format!("image import {}", nonsense.display()));
        assert!(
            !refused.is_ok() && refused.stderr.contains("nonsense.tar"),
            "{refused:?}"
        );
        assert_eq!(ok("image ls"), before);
        assert_eq!(kubectl.ok("exec early -- echo still here"), "still here\n");
    });
}
