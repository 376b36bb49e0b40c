//! Roles, ClusterRoles and their bindings.

use super::Described;
use super::writer::Writer;
use meta::Value;

/// One or more verbs on one thing. Follows kubectl's pkg/util/rbac.
#[derive(Clone, Default, PartialEq)]
struct Rule {
    verbs: Vec<String>,
    group: Option<String>,
    resource: Option<String>,
    name: Option<String>,
    url: Option<String>,
}

fn list(item: Option<&String>) -> String {
    item.map_or("[]".to_string(), |item| format!("[{item}]"))
}

impl Rule {
    /// By what upstream sorts.
    fn key(&self) -> String {
        let [group, resource, name, url] =
            [&self.group, &self.resource, &self.name, &self.url].map(|item| list(item.as_ref()));
        let verbs = self.verbs.join(" ");
        format!(
            "&PolicyRule{{Verbs:[{verbs}],APIGroups:{group},Resources:{resource},ResourceNames:{name},NonResourceURLs:{url},}}"
        )
    }

    /// `deployments.apps/scale`
    fn resource(&self) -> String {
        let resource = self.resource.as_deref().unwrap_or_default();
        let group = self.group.as_deref().unwrap_or_default();
        let (name, sub) = match resource.split_once('/') {
            Some((name, sub)) => (name, format!("/{sub}")),
            None => (resource, String::new()),
        };
        let dot = if group.is_empty() { "" } else { "." };
        format!("{name}{dot}{group}{sub}")
    }
}

fn strings(rule: &Value, key: &str) -> Vec<String> {
    let items = rule.items_at(&[key]).iter();
    items.filter_map(Value::as_str).map(String::from).collect()
}

fn compact(rules: &[Value]) -> Vec<Rule> {
    let mut on_resources: Vec<Rule> = Vec::new();
    let mut on_urls: Vec<Rule> = Vec::new();
    for rule in rules {
        let verbs = strings(rule, "verbs");
        let names = strings(rule, "resourceNames");
        let names: Vec<Option<String>> = match names.is_empty() {
            true => vec![None],
            false => names.into_iter().map(Some).collect(),
        };
        for group in strings(rule, "apiGroups") {
            for resource in strings(rule, "resources") {
                for name in &names {
                    add(&mut on_resources, &group, &resource, name.as_ref(), &verbs);
                }
            }
        }
        for url in strings(rule, "nonResourceURLs") {
            on_urls.extend(verbs.iter().map(|verb| Rule {
                verbs: vec![verb.clone()],
                url: Some(url.clone()),
                ..Rule::default()
            }));
        }
    }
    on_urls.extend(on_resources);
    on_urls.sort_by_key(Rule::key);
    on_urls
}

fn add(
    rules: &mut Vec<Rule>,
    group: &str,
    resource: &str,
    name: Option<&String>,
    verbs: &[String],
) {
    let same = rules.iter().position(|rule| {
        rule.group.as_deref() == Some(group)
            && rule.resource.as_deref() == Some(resource)
            && rule.name.as_ref() == name
    });
    let at = match same {
        Some(at) => at,
        None => {
            rules.push(Rule {
                group: Some(group.to_string()),
                resource: Some(resource.to_string()),
                name: name.cloned(),
                ..Rule::default()
            });
            rules.len() - 1
        }
    };
    for verb in verbs {
        if !rules[at].verbs.contains(verb) {
            rules[at].verbs.push(verb.clone());
        }
    }
}

pub(super) fn role(it: &Described<'_>, w: &mut Writer) {
    w.field(0, "Name", it.name());
    it.labels(w);
    it.annotations(w);
    w.line(0, "PolicyRule:");
    w.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    w.line(1, "---------\t-----------------\t--------------\t-----");
    for rule in compact(it.object.items_at(&["rules"])) {
        let (resource, verbs) = (rule.resource(), rule.verbs.join(" "));
        let (url, name) = (list(rule.url.as_ref()), list(rule.name.as_ref()));
        w.line(1, &format!("{resource}\t{url}\t{name}\t[{verbs}]"));
    }
}

pub(super) fn binding(it: &Described<'_>, w: &mut Writer) {
    w.field(0, "Name", it.name());
    it.labels(w);
    it.annotations(w);
    w.line(0, "Role:");
    w.field(1, "Kind", it.object.str_at(&["roleRef", "kind"]));
    w.field(1, "Name", it.object.str_at(&["roleRef", "name"]));
    w.line(0, "Subjects:");
    w.line(1, "Kind\tName\tNamespace");
    w.line(1, "----\t----\t---------");
    for subject in it.object.items_at(&["subjects"]) {
        let [kind, name, namespace] =
            ["kind", "name", "namespace"].map(|key| subject.str_at(&[key]));
        w.line(1, &format!("{kind}\t{name}\t{namespace}"));
    }
}
