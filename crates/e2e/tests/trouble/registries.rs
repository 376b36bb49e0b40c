//! Registries that are slow, wrong or gone: their pods say so in upstream's
//! words, all other pods do not notice.

use crate::rogue::Rogue;
use e2e::{Scope, patiently, until};

/// Repositories, and what is said of each: the words that follow on
/// `failed to pull and unpack image "…": `. IMAGE and LAYER stand for names.
const WRONG: [(&str, &str); 12] = [
    (
        "absent",
        "failed to resolve reference \"IMAGE\": IMAGE: not found",
    ),
    (
        "denied",
        "failed to resolve reference \"IMAGE\": unexpected status from GET request to http://REGISTRY/v2/denied/manifests/1: 403 Forbidden: DENIED: access denied",
    ),
    (
        "error",
        "failed to resolve reference \"IMAGE\": unexpected status from GET request to http://REGISTRY/v2/error/manifests/1: 500 Internal Server Error",
    ),
    (
        "endless",
        "failed to resolve reference \"IMAGE\": http://REGISTRY/v2/endless/manifests/1 is larger than",
    ),
    (
        "garbage",
        "failed to resolve reference \"IMAGE\": manifests/1 is not valid",
    ),
    (
        "gone",
        "failed to copy: httpReadSeeker: failed open: http://REGISTRY/v2/gone/blobs/LAYER: not found",
    ),
    (
        "hangup",
        "failed to resolve reference \"IMAGE\": failed to do request: Get \"http://REGISTRY/v2/hangup/manifests/1\":",
    ),
    (
        "html",
        "failed to resolve reference \"IMAGE\": manifests/1 is not valid",
    ),
    (
        "long",
        "failed commit on ref \"layer-LAYER\": commit failed: unexpected commit size",
    ),
    (
        "loop",
        "failed to resolve reference \"IMAGE\": failed to do request: Get \"http://REGISTRY/v2/loop/manifests/1\": stopped after 10 redirects",
    ),
    ("short", "failed to copy: httpReadSeeker: failed open: "),
    (
        "wrong",
        "failed commit on ref \"layer-LAYER\": commit failed: unexpected commit digest sha256:",
    ),
];

/// Repositories that are to work in the end, or never say what is wrong.
const STUCK: [&str; 3] = ["mended", "silent", "slow"];

pub fn registries_harm_only_their_pods(t: &Scope) {
    let wrong = WRONG.iter().map(|(repository, _)| *repository);
    let repositories: Vec<&str> = wrong.chain(STUCK).chain(["good"]).collect();
    let registry = Rogue::start(&t.cluster.beside("rogue"), &repositories);
    let spec = |repository: &str| {
        let image = registry.image(repository);
        format!(
            "
            containers:
            - {{name: main, image: '{image}', imagePullPolicy: Always, command: [sleep, '3600']}}
            "
        )
    };
    for repository in repositories.iter().filter(|one| **one != "good") {
        t.pod(repository, &spec(repository));
    }
    // A pod whose registry is well is ready all the same, and so is one that
    // needs none.
    t.ready_pod("good", &spec("good"));
    patiently("two pulls wait", || registry.open(), |open| *open == 2);
    t.ready_pod(
        "local",
        "
        containers:
        - {name: main, image: busybox:1.35, command: [sleep, '3600']}
        ",
    );
    for (repository, words) in WRONG {
        check_words(t, &registry, repository, words);
    }
    // What is mended is pulled without help, once its time has come.
    t.event("mended", "Failed");
    registry.mend();
    t.wait_ready("mended");
    // Nobody waits for pods that are deleted.
    t.ok("delete pod slow silent --timeout=30s");
    until("nobody waits for the registry", || registry.open() == 0);
    let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
    let node = format!("node {}", t.cluster.node());
    assert_eq!(t.field(&node, ready), "True");
    t.ok("delete pod --all --timeout=60s");
    let ingest = t.cluster.data().join("agent/images/ingest");
    patiently(
        "nothing half pulled",
        || e2e::machine::names_in(&ingest).collect::<Vec<_>>(),
        Vec::is_empty,
    );
}

fn check_words(t: &Scope, registry: &Rogue, repository: &str, words: &str) {
    let image = registry.image(repository);
    let address = image.split('/').next().unwrap_or_default();
    let words = words
        .replace("IMAGE", &image)
        .replace("LAYER", &registry.layer(repository))
        .replace("REGISTRY", address);
    let pod = format!("pod {repository}");
    let state = "{.status.containerStatuses[0].state.waiting.reason}";
    patiently(
        &format!("pod {repository} waits"),
        || t.field(&pod, state),
        |reason| ["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()),
    );
    let failed = t.event(repository, "Failed")["message"].clone();
    let want = format!(
        "Failed to pull image \"{image}\": failed to pull and unpack image \"{image}\": {words}"
    );
    let said = failed.as_str().unwrap_or_default();
    assert!(said.starts_with(&want), "{said}\ninstead of\n{want}");
    t.wait_field(&pod, state, "ImagePullBackOff");
    let message = t.field(&pod, "{.status.containerStatuses[0].state.waiting.message}");
    let want = format!(
        "Back-off pulling image \"{image}\": ErrImagePull: failed to pull and unpack image \"{image}\": {words}"
    );
    assert!(message.starts_with(&want), "{message}\ninstead of\n{want}");
}
