//! Command lines that cannot be run.

use crate::compare::{Both, bare};
use e2e::{Scope, own};

pub fn errors_of_usage_are_alike(t: &Scope) {
    let (folder, _) = own(t, "usage");
    let (stock, own) = bare(t, &folder);
    let both = Both {
        stock: &stock,
        own: &own,
    };
    for arguments in [
        "foo",
        "gte",
        "get --foo",
        "get -Z",
        "get pods -o",
        "get pods --output",
        "get --chunk-size=x pods",
        "get pods --watch=x",
        "rollout foo",
        "top foo",
        "create foo",
        "create role",
        "create role a b --verb=get --resource=pods",
        "create ingress a --rule=nothing",
        "autoscale deployment x",
        "autoscale deployment x --max=0",
        "certificate approve",
        "top node",
        "top pod",
        "set env deployment/x",
        "set image deployment/x",
        "set subject rolebinding x",
        "apply view-last-applied deployment/nothing",
        "auth reconcile",
        "get pods --show_labels",
    ] {
        both.agree(arguments);
    }
}
