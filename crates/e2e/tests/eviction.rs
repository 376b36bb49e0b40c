//! A node that runs short of memory: who has to go, and what is said.

use e2e::{Options, suite, until, with_cluster};
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[],
        &[("a_node_without_memory_evicts", a_node_without_memory_evicts)],
    )
}

fn a_node_without_memory_evicts() {
    // More than there can be: the node runs short from its first look on.
    let argument = "--kubelet-arg=eviction-hard=memory.available<99%";
    let options = Options {
        arguments: vec![argument.to_string()],
        ..Options::default()
    };
    with_cluster(options, |cluster| {
        let kubectl = cluster.kubectl().within("default");
        let field = |what: &str, path: &str| {
            let outcome = kubectl.run(&format!("get {what} -o jsonpath='{path}'"));
            outcome.stdout
        };
        let node = format!("node {}", cluster.node());
        until("the node says so", || {
            let path = "{.status.conditions[?(@.type==\"MemoryPressure\")].status}";
            field(&node, path) == "True"
        });
        until("the node is tainted", || {
            field(&node, "{.spec.taints[*].key}").contains("node.kubernetes.io/memory-pressure")
        });
        kubectl.ok("run careless --image=busybox:1.35 -- sleep 3600");
        let bears = "tolerations: [{key: node.kubernetes.io/memory-pressure, operator: Exists}]";
        let pod = |name: &str, more: &str| {
            e2e::pod(
                name,
                &format!(
                    "
                    {bears}
                    {more}
                    containers:
                    - {{name: main, image: busybox:1.35, command: [sleep, '3600'], resources: {{requests: {{memory: 16Ki}}}}}}
                    "
                ),
            )
        };
        kubectl.apply(&pod("needed", "priorityClassName: system-node-critical"));
        kubectl.ok("wait pod/needed --for=condition=Ready --timeout=60s");
        kubectl.apply(&pod("victim", ""));
        until("the victim is evicted", || {
            field("pod victim", "{.status.phase}") == "Failed"
        });
        assert_eq!(field("pod victim", "{.status.reason}"), "Evicted");
        let message = field("pod victim", "{.status.message}");
        for part in [
            "The node was low on resource: memory. Threshold quantity: ",
            ", available: ",
            "Container main was using ",
            ", request is 16Ki, has larger consumption of memory. ",
        ] {
            assert!(message.contains(part), "{message}");
        }
        let disruption = "{.status.conditions[?(@.type==\"DisruptionTarget\")]";
        assert_eq!(
            field("pod victim", &format!("{disruption}.reason}}")),
            "TerminationByKubelet"
        );
        let events = kubectl.ok("get events -A");
        assert!(events.contains("EvictionThresholdMet"), "{events}");
        assert!(events.contains("Attempting to reclaim memory"), "{events}");
        assert_eq!(field("pod needed", "{.status.phase}"), "Running");
        assert_eq!(field("pod careless", "{.status.phase}"), "Pending");
    });
}
