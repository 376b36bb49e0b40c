//! `set subject`: adds users, groups and service accounts to bindings.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/set/set_subject.go.

use super::{Change, Common};
use crate::error::{Result, said};
use crate::shell::Shell;
use meta::{Value, value};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Usernames to bind to the role.
    #[arg(long)]
    user: Vec<String>,
    /// Groups to bind to the role.
    #[arg(long)]
    group: Vec<String>,
    /// Service accounts to bind to the role, in the format <namespace>:<name>.
    #[arg(long)]
    serviceaccount: Vec<String>,
}

/// Runs it.
pub(super) async fn run(shell: &Shell, args: &Args) -> Result {
    args.common.check(&args.common.words)?;
    let infos = args.common.infos(shell, &args.common.words).await?;
    let subjects = args.subjects(&shell.namespace()?.0)?;
    let change = Change {
        done: "subjects updated",
        failed: "failed to patch subjects to rolebinding",
        version: "",
        is_named: true,
    };
    let apply = |object: &mut Value| add(object, &subjects);
    args.common.each(shell, infos, &change, apply).await
}

impl Args {
    fn subjects(&self, namespace: &str) -> Result<Vec<Value>> {
        let mut out = Vec::new();
        for (kind, names) in [("User", &self.user), ("Group", &self.group)] {
            out.extend(unique(names).into_iter().map(|name| {
                value!({"kind": (kind), "apiGroup": "rbac.authorization.k8s.io", "name": (name)})
            }));
        }
        for pair in unique(&self.serviceaccount) {
            let (own, name) = match pair.split_once(':') {
                Some((own, name)) if !name.is_empty() && !name.contains(':') => (own, name),
                _ => return said("serviceaccount must be <namespace>:<name>"),
            };
            let own = if own.is_empty() { namespace } else { own };
            out.push(value!({"kind": "ServiceAccount", "name": (name), "namespace": (own)}));
        }
        match out.is_empty() {
            true => said("you must specify at least one value of user, group or serviceaccount"),
            false => Ok(out),
        }
    }
}

fn unique(names: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn add(object: &mut Value, subjects: &[Value]) -> Result {
    if !["RoleBinding", "ClusterRoleBinding"].contains(&object.str_at(&["kind"])) {
        return said("setting subjects is only supported for RoleBinding/ClusterRoleBinding");
    }
    let present = object.make_object().entry("subjects").make_array();
    for subject in subjects {
        if !present.contains(subject) {
            present.push(subject.clone());
        }
    }
    Ok(())
}
