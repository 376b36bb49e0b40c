//! What shells are offered, from the same cluster.

use crate::compare::{Both, bare};
use e2e::{Scope, own};

pub fn completion_offers_alike(t: &Scope) {
    let (folder, _) = own(t, "complete");
    let (stock, own) = bare(t, &folder);
    let both = Both {
        stock: &stock,
        own: &own,
    };
    t.ok("create configmap completed --from-literal=a=b");
    for words in [
        "get ''",
        "get pod",
        "get -n NS configmaps comp",
        "get -n NS configmaps/comp",
        "get configmaps,se",
        "describe node/",
        "logs ''",
        "cordon ''",
        "top node ''",
        "-n kube-s",
        "get pods -n kube-s",
        "get pods --namespace=kube-s",
        "config use-context ''",
        "--context ''",
        "scale ''",
        "scale deploy",
        "rollout status st",
        "apply -f ''",
        "get nothing ''",
        "expose po",
    ] {
        // The words of help are each program's own.
        let words = words.replace("NS", &t.namespace);
        both.agree(&format!("__completeNoDesc {words}"));
    }
}
