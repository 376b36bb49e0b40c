//! `describe` of every kind that is served, with objects that use most of their fields.

use crate::compare::Both;
use e2e::{Scope, own, until};

const OBJECTS: &str = include_str!("rich.yaml");
const BOX: &str = include_str!("box.yaml");

pub fn kinds_are_described_alike(t: &Scope) {
    let (_folder, own) = own(t, "describe");
    let both = Both {
        stock: t,
        own: &own,
    };
    t.apply(OBJECTS);
    until("boxes are served", || t.run("get boxes").is_ok());
    t.apply(BOX);
    t.ok("rollout status deployment/web --timeout=120s");
    t.wait_field(
        "pod/broken",
        "{.status.containerStatuses[0].state.terminated.exitCode}",
        "3",
    );
    let kinds = t.ok("api-resources --verbs=list -o name");
    // What the other tests define comes and goes.
    let passing = [".explained.io", ".metrics.k8s.io", ".certificates.k8s.io"];
    let is_lasting = |kind: &&str| !passing.iter().any(|group| kind.ends_with(group));
    for kind in kinds.lines().filter(is_lasting) {
        both.come_to_agree(&format!("describe {kind}"));
    }
    for arguments in [
        "describe deploy/web svc/web",
        "describe pods bro",
        "describe pods -l app=web --show-events=false",
        "describe pod nothing",
        "describe boxes big",
    ] {
        both.come_to_agree(arguments);
    }
    t.ok("delete customresourcedefinition boxes.rich.io");
    t.ok("delete clusterrole/rich-cr clusterrolebinding/rich-crb priorityclass/rich-high runtimeclass/rich-rc");
}
