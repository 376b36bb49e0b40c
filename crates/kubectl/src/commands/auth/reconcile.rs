//! `auth reconcile`: roles and bindings get what files say, and keep what else they have.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/auth/reconcile.go and
//! staging/src/k8s.io/component-helpers/auth/rbac/reconciliation.

use crate::error::{Result, said};
use crate::io;
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{FileArgs, Info, from_files};
use crate::shell::Shell;
use http::Method;
use meta::{Value, value};

/// The arguments of `auth reconcile`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// If true, removes extra permissions added to roles.
    #[arg(long)]
    remove_extra_permissions: bool,
    /// If true, removes extra subjects added to rolebindings.
    #[arg(long)]
    remove_extra_subjects: bool,
}

const OPTED_OUT: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Runs it.
pub(super) async fn run(shell: &Shell, args: &Args) -> Result {
    if args.files.is_empty() {
        return said("must specify one of -f and -k");
    }
    let dry_run = args.dry_run.get()?;
    if dry_run == DryRun::Server {
        return said("--dry-run=server for command reconcile is not supported yet");
    }
    let mut reporter = args.print.reporter(dry_run)?;
    for info in from_files(shell, &args.files).await? {
        if info.resource.group != "rbac.authorization.k8s.io" {
            continue;
        }
        if info.resource.version != "v1" {
            let (version, kind) = (info.resource.group_version(), &info.resource.kind);
            return said(format!(
                "only rbac.authorization.k8s.io/v1 is supported: not {version}, Kind={kind}"
            ));
        }
        let plan = one(shell, args, &info, dry_run).await?;
        reporter.report(&plan.object, "reconciled")?;
        tell(args, &plan);
    }
    Ok(())
}

/// What is to be done about one object.
#[derive(Debug, PartialEq)]
struct Plan {
    object: Value,
    operation: &'static str,
    is_protected: bool,
    /// `rules` or `subjects`.
    noun: &'static str,
    missing: Vec<Value>,
    extra: Vec<Value>,
}

async fn one(shell: &Shell, args: &Args, info: &Info, dry_run: DryRun) -> Result<Plan> {
    const ATTEMPTS: usize = 3;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let live = match info.fetch(shell).await {
            Ok(live) => Some(live),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let plan = plan(args, &info.object, live.as_ref());
        if dry_run != DryRun::None || plan.is_protected {
            return Ok(plan);
        }
        match carry_out(shell, info, plan).await {
            Err(error) if error.reason() == "Conflict" && attempt < ATTEMPTS => {}
            done => return done,
        }
    }
}

fn plan(args: &Args, wanted: &Value, live: Option<&Value>) -> Plan {
    let is_binding = wanted.get("roleRef").is_some();
    let noun = if is_binding { "subjects" } else { "rules" };
    let list = |object: &Value| object.items_at(&[noun]).to_vec();
    let Some(live) = live else {
        return Plan {
            object: wanted.clone(),
            operation: "create",
            is_protected: false,
            noun,
            missing: list(wanted),
            extra: Vec::new(),
        };
    };
    let is_protected = live.str_at(&["metadata", "annotations", OPTED_OUT]) == "false";
    if is_binding && live.get("roleRef") != wanted.get("roleRef") {
        return Plan {
            object: wanted.clone(),
            operation: "recreate",
            is_protected,
            noun,
            missing: list(wanted),
            extra: list(live),
        };
    }
    let (missing, extra) = match is_binding {
        true => (lacking(wanted, live), lacking(live, wanted)),
        false => (uncovered(wanted, live), uncovered(live, wanted)),
    };
    let remove = match is_binding {
        true => args.remove_extra_subjects,
        false => args.remove_extra_permissions,
    };
    let mut object = live.clone();
    if !missing.is_empty() || (remove && !extra.is_empty()) {
        let kept = match remove {
            true => list(wanted),
            false => [list(live), missing.clone()].concat(),
        };
        object.set_at(&[noun], kept);
    }
    for field in ["labels", "annotations"] {
        let added = wanted.at(&["metadata", field]).and_then(Value::as_object);
        for (key, value) in added.into_iter().flat_map(meta::Map::iter) {
            object.set_at(&["metadata", field, key], value.clone());
        }
    }
    let operation = if object == *live { "" } else { "update" };
    Plan {
        object,
        operation,
        is_protected,
        noun,
        missing,
        extra,
    }
}

/// The subjects of one object that another lacks.
fn lacking(of: &Value, than: &Value) -> Vec<Value> {
    let there = than.items_at(&["subjects"]);
    let mine = of.items_at(&["subjects"]).iter();
    mine.filter(|subject| !there.contains(subject))
        .cloned()
        .collect()
}

/// What the rules of one object allow and those of another do not, piece by piece.
fn uncovered(of: &Value, by: &Value) -> Vec<Value> {
    let rules = by.items_at(&["rules"]);
    let pieces = of.items_at(&["rules"]).iter().flat_map(pieces);
    pieces
        .filter(|piece| !rules.iter().any(|rule| covers(rule, piece)))
        .collect()
}

/// A rule as rules that name one group, one resource, one verb and one name each. Follows
/// component-helpers/auth/rbac/validation/policy_comparator.go (BreakdownRule), in its order.
fn pieces(rule: &Value) -> Vec<Value> {
    let each = |field: &str| rule.items_at(&[field]).iter().cloned();
    let mut out = Vec::new();
    for group in each("apiGroups") {
        for resource in each("resources") {
            for verb in each("verbs") {
                let piece = value!({
                    "apiGroups": [(group.clone())], "resources": [(resource.clone())], "verbs": [(verb)]
                });
                let named = |name| {
                    let mut piece = piece.clone();
                    piece.set_at(&["resourceNames"], vec![name]);
                    piece
                };
                out.extend(each("resourceNames").map(named));
                if each("resourceNames").len() == 0 {
                    out.push(piece);
                }
            }
        }
    }
    for url in each("nonResourceURLs") {
        for verb in each("verbs") {
            out.push(value!({"nonResourceURLs": [(url.clone())], "verbs": [(verb)]}));
        }
    }
    out
}

/// Whether a rule allows what a piece of another allows.
fn covers(rule: &Value, piece: &Value) -> bool {
    let has = |field: &str, wanted: &Value| {
        let all = rule.items_at(&[field]);
        all.contains(wanted) || all.contains(&Value::from("*"))
    };
    let all = |field: &str| {
        piece
            .items_at(&[field])
            .iter()
            .all(|wanted| has(field, wanted))
    };
    let any_name = rule.items_at(&["resourceNames"]).is_empty();
    let named = piece.items_at(&["resourceNames"]);
    let names = any_name || (!named.is_empty() && all("resourceNames"));
    all("verbs") && all("nonResourceURLs") && all("apiGroups") && resources(rule, piece) && names
}

/// `*` is everything, `*/scale` that subresource of everything.
fn resources(rule: &Value, piece: &Value) -> bool {
    let all = rule.items_at(&["resources"]);
    piece.items_at(&["resources"]).iter().all(|wanted| {
        let below = wanted.as_str().and_then(|text| text.split_once('/'));
        let of_all = below.map(|(_, below)| Value::from(format!("*/{below}")));
        all.contains(wanted)
            || all.contains(&Value::from("*"))
            || of_all.is_some_and(|of_all| all.contains(&of_all))
    })
}

async fn carry_out(shell: &Shell, info: &Info, mut plan: Plan) -> Result<Plan> {
    let api = shell.api().await?;
    let collection = info.resource.collection(&info.namespace);
    match plan.operation {
        "create" => {
            require_namespace(shell, &info.namespace).await?;
            plan.object = api.post(&collection, &plan.object).await?;
        }
        "recreate" => {
            crate::deleting::delete_and_wait(shell, info, DryRun::None).await?;
            plan.object = api.post(&collection, &plan.object).await?;
        }
        "update" => plan.object = api.send(Method::PUT, &info.path(), &plan.object).await?,
        _ => {}
    }
    Ok(plan)
}

/// The namespace is made where it is missing.
async fn require_namespace(shell: &Shell, name: &str) -> Result {
    if name.is_empty() {
        return Ok(());
    }
    let api = shell.api().await?;
    let path = format!("/api/v1/namespaces/{name}");
    match api.get(&path).await {
        Err(error) if error.is_not_found() => {
            let namespace =
                value!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": (name)}});
            match api.post("/api/v1/namespaces", &namespace).await {
                Err(error) if error.reason() == "AlreadyExists" => Ok(()),
                made => made.map(|_| ()),
            }
        }
        found => found.map(|_| ()),
    }
}

fn tell(args: &Args, plan: &Plan) {
    if plan.operation.is_empty() {
        return;
    }
    let caveat = match plan.is_protected {
        true => ", but object opted out (rbac.authorization.kubernetes.io/autoupdate: false)",
        false => "",
    };
    io::warn(format!(
        "\treconciliation required {}{caveat}",
        plan.operation
    ));
    let removes = match plan.noun {
        "subjects" => args.remove_extra_subjects,
        _ => args.remove_extra_permissions,
    };
    let extra = if removes { plan.extra.as_slice() } else { &[] };
    for (title, list) in [("missing", plan.missing.as_slice()), ("extra", extra)] {
        if list.is_empty() {
            continue;
        }
        let done = if title == "missing" {
            "added"
        } else {
            "removed"
        };
        io::warn(format!("\t{title} {} {done}:", plan.noun));
        list.iter()
            .for_each(|item| io::warn(format!("\t\t{}", go_struct(plan.noun, item))));
    }
}

/// A rule or subject as Go prints a struct with its fields' names.
fn go_struct(noun: &str, item: &Value) -> String {
    let fields: &[(&str, &str)] = match noun {
        "subjects" => &[
            ("Kind", "kind"),
            ("APIGroup", "apiGroup"),
            ("Name", "name"),
            ("Namespace", "namespace"),
        ],
        _ => &[
            ("Verbs", "verbs"),
            ("APIGroups", "apiGroups"),
            ("Resources", "resources"),
            ("ResourceNames", "resourceNames"),
            ("NonResourceURLs", "nonResourceURLs"),
        ],
    };
    let shown = fields.iter().map(|(title, field)| match noun {
        "subjects" => format!("{title}:{}", item.str_at(&[field])),
        _ => {
            let words = item.items_at(&[field]).iter().filter_map(Value::as_str);
            format!("{title}:[{}]", words.collect::<Vec<_>>().join(" "))
        }
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(remove: bool) -> Args {
        Args {
            files: FileArgs::default(),
            print: PrintArgs::default(),
            dry_run: DryRunArgs::default(),
            remove_extra_permissions: remove,
            remove_extra_subjects: remove,
        }
    }

    fn role(rules: Value) -> Value {
        value!({"kind": "Role", "metadata": {"name": "a"}, "rules": (rules)})
    }

    #[test]
    fn roles_gain_what_they_lack_and_keep_what_they_have() {
        let live =
            role(value!([{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get"]}]));
        let wanted = role(
            value!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]),
        );
        let made = plan(&args(false), &wanted, Some(&live));
        assert_eq!(
            made.missing,
            ["list", "watch"]
                .map(|verb| value!({"apiGroups": [""], "resources": ["pods"], "verbs": [(verb)]}))
        );
        assert_eq!(made.object.items_at(&["rules"]).len(), 3);
        let made = plan(&args(true), &wanted, Some(&live));
        assert_eq!(
            made.object.items_at(&["rules"]),
            wanted.items_at(&["rules"])
        );
        assert_eq!(plan(&args(false), &live, Some(&live)).operation, "");
    }

    #[test]
    fn a_star_covers_everything_but_names_do_not() {
        let star = value!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
        let piece =
            value!({"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]});
        assert!(covers(&star, &piece));
        let named = value!({"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["get"], "resourceNames": ["a"]});
        assert!(!covers(&named, &piece));
    }
}
