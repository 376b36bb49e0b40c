//! Starting, restarting, refusing and resetting a server.

use e2e::{Options, suite, with_cluster};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(&[], &[("the_example_answers", the_example_answers)])
}

/// The journey of the README: apply, roll out, ask through the Service and by name.
fn the_example_answers() {
    with_cluster(Options::default(), |cluster| {
        let kubectl = cluster.kubectl();
        let examples = e2e::workspace().join("examples");
        kubectl.ok(&format!("apply -f {}", examples.display()));
        kubectl.ok("rollout status deployment/web --timeout=60s");
        let address = kubectl.ok("get service web -o jsonpath='{.spec.clusterIP}'");
        let page = e2e::fetch(&address, 80, "/").expect("the page");
        assert!(page.contains("Hello from Tiphys"), "{page}");
        kubectl.apply(&e2e::pod(
            "asker",
            "
            restartPolicy: Never
            containers:
            - {name: main, image: busybox:1.35, command: [wget, -qO-, 'http://web.default.svc.cluster.local/']}
            ",
        ));
        kubectl.ok("wait pod/asker --for=jsonpath='{.status.phase}'=Succeeded --timeout=60s");
        let said = kubectl.ok("logs asker");
        assert!(said.contains("Hello from Tiphys"), "{said}");
    });
}
