//! Acting as somebody else: what both programs send, and what the server lets them.

use crate::compare::Both;
use e2e::{Folder, Scope, own};
use std::path::PathBuf;

/// May act as one user, in one group, for one reason.
const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: impersonator-of-anna}
rules:
- {verbs: [impersonate], apiGroups: [''], resources: [users], resourceNames: [anna]}
- {verbs: [impersonate], apiGroups: [''], resources: [groups], resourceNames: [staff]}
- {verbs: [impersonate], apiGroups: [authentication.k8s.io], resources: [uids], resourceNames: ['7']}
- {verbs: [impersonate], apiGroups: [authentication.k8s.io], resources: [userextras/reason], resourceNames: [audit]}
";

pub fn others_are_impersonated_alike(t: &Scope) {
    let (folder, own) = own(t, "impersonate");
    let administrator = Both {
        stock: t,
        own: &own,
    };
    for arguments in [
        "auth whoami --as=anna --as-uid=7 --as-group=staff --as-group=night",
        "auth whoami --as=system:serviceaccount:web:robot",
        "auth whoami --as-group=staff",
        "get pods --as=anna",
        "auth can-i get pods --as=anna --as-group=system:masters",
    ] {
        administrator.agree(arguments);
    }

    t.apply(ROLE);
    t.ok("create serviceaccount robot");
    let robot = format!("--serviceaccount={}:robot", t.namespace);
    t.ok(&format!(
        "create clusterrolebinding impersonator-of-anna --clusterrole=impersonator-of-anna {robot}"
    ));
    for (extras, is_allowed) in [
        ("{reason: [audit]}", true),
        ("{reason: [fun]}", false),
        ("{scope: [audit]}", false),
        ("{reason: [audit], example.org/x: [z]}", false),
    ] {
        let kubeconfig = kubeconfig(t, &folder, extras);
        let (stock, own) = (
            t.with_kubeconfig(&kubeconfig),
            own.with_kubeconfig(&kubeconfig),
        );
        let both = Both {
            stock: &stock,
            own: &own,
        };
        both.agree("auth whoami -o jsonpath={.status}");
        assert_eq!(own.run("auth whoami").is_ok(), is_allowed, "{extras}");
    }

    // The stock program has no option for it yet, but its kubeconfig says the same.
    let said = own.ok("auth whoami --as=anna --as-user-extra=example.org/Team=a --as-user-extra=example.org/Team=b=c -o jsonpath={.status}");
    let theirs = kubeconfig(t, &folder, "{example.org/Team: [a, b=c]}");
    t.ok(&format!(
        "create clusterrolebinding robot-is-free --clusterrole=cluster-admin {robot}"
    ));
    assert_eq!(
        said,
        t.with_kubeconfig(&theirs)
            .ok("auth whoami -o jsonpath={.status}")
    );
    t.ok("delete clusterrolebinding impersonator-of-anna robot-is-free");
    t.ok("delete clusterrole impersonator-of-anna");
}

/// The robot's, who acts as anna.
fn kubeconfig(t: &Scope, folder: &Folder, extras: &str) -> PathBuf {
    let path = folder.path().join("robot.yaml");
    let text = std::fs::read_to_string(t.cluster.kubeconfig()).expect("the administrator's");
    std::fs::write(&path, text).expect("a kubeconfig");
    let token = t.ok("create token robot");
    let config = t.with_kubeconfig(&path);
    config.ok(&format!("config set-credentials robot --token={token}"));
    config.ok("config set-context --current --user=robot");
    let text = std::fs::read_to_string(&path).expect("a kubeconfig");
    let whom = format!("    as: anna\n    as-user-extra: {extras}\n    token:");
    let at = text.rfind("    token:").expect("the robot's token");
    let text = format!("{}{whom}{}", &text[..at], &text[at + "    token:".len()..]);
    std::fs::write(&path, text).expect("a kubeconfig");
    path
}
