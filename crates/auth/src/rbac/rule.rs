//! A policy rule: what it allows, and what of another rule it covers. Follows
//! pkg/apis/rbac/v1/evaluation_helpers.go and
//! component-helpers' auth/rbac/validation/policy_comparator.go.

use crate::Target;
use meta::{Map, Str, Value};

/// Everything, in any list of a rule.
const ALL: &str = "*";

/// A rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// What may be done.
    pub verbs: Vec<Str>,
    /// In which API groups.
    pub groups: Vec<Str>,
    /// With which resources, and subresources after a slash.
    pub resources: Vec<Str>,
    /// With which objects; all when empty.
    pub names: Vec<Str>,
    /// With which paths that are no resources.
    pub urls: Vec<Str>,
}

impl Rule {
    /// Reads a `PolicyRule`.
    pub fn read(rule: &Value) -> Rule {
        let texts = |key: &str| {
            let items = rule.items_at(&[key]).iter();
            items.filter_map(Value::as_str).map(Str::from).collect()
        };
        Rule {
            verbs: texts("verbs"),
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            urls: texts("nonResourceURLs"),
        }
    }

    /// The `rules` of a role.
    pub fn read_all(role: &Value) -> Vec<Rule> {
        role.items_at(&["rules"]).iter().map(Rule::read).collect()
    }

    /// As a `PolicyRule`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, texts) in [
            ("verbs", &self.verbs),
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !texts.is_empty() {
                map.insert(key, texts.clone());
            }
        }
        Value::Object(map)
    }

    /// Whether the rule allows it.
    pub fn allows(&self, verb: &str, target: &Target<'_>) -> bool {
        if !has_or_all(&self.verbs, verb) {
            return false;
        }
        match *target {
            Target::Path(path) => self.urls.iter().any(|url| url_covers(url, path)),
            Target::Resource {
                group,
                resource,
                subresource,
                name,
                ..
            } => {
                has_or_all(&self.groups, group)
                    && self.has_resource(resource, subresource)
                    && (self.names.is_empty() || has(&self.names, name))
            }
        }
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|own| match own.split_once('/') {
            _ if own == ALL => true,
            None => subresource.is_empty() && own == resource,
            Some((of, sub)) => {
                !subresource.is_empty() && sub == subresource && (of == ALL || of == resource)
            }
        })
    }

    /// Whether whoever holds this holds `other` too, which is one of those that
    /// [`Rule::pieces`] makes.
    pub fn covers(&self, other: &Rule) -> bool {
        let names = match other.names.is_empty() {
            true => self.names.is_empty(),
            false => self.names.is_empty() || has_each(&self.names, &other.names),
        };
        names
            && (has(&self.verbs, ALL) || has_each(&self.verbs, &other.verbs))
            && (has(&self.groups, ALL) || has_each(&self.groups, &other.groups))
            && other.resources.iter().all(|r| self.covers_resource(r))
            && other
                .urls
                .iter()
                .all(|url| self.urls.iter().any(|own| url_covers(own, url)))
    }

    fn covers_resource(&self, resource: &str) -> bool {
        let any_of = |sub: &str| {
            self.resources
                .iter()
                .any(|own| own.strip_prefix("*/") == Some(sub))
        };
        has_or_all(&self.resources, resource)
            || resource.split_once('/').is_some_and(|(_, sub)| any_of(sub))
    }

    /// The rule as rules of one verb, one group, one resource and one name, or
    /// one verb and one path.
    pub fn pieces(&self) -> Vec<Rule> {
        let mut pieces = Vec::new();
        let names: Vec<Option<&Str>> = match self.names.is_empty() {
            true => vec![None],
            false => self.names.iter().map(Some).collect(),
        };
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    pieces.extend(names.iter().map(|name| Rule {
                        verbs: vec![verb.clone()],
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        names: name.iter().map(|n| (*n).clone()).collect(),
                        urls: Vec::new(),
                    }));
                }
            }
        }
        for url in &self.urls {
            pieces.extend(self.verbs.iter().map(|verb| Rule {
                verbs: vec![verb.clone()],
                urls: vec![url.clone()],
                ..Rule::default()
            }));
        }
        pieces
    }

    /// `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`
    pub fn shown(&self) -> String {
        let parts = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, texts)| !texts.is_empty())
            .map(|(name, texts)| format!("{name}:{}", quoted(texts)))
            .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// As Go prints a list of strings with `%q`.
pub(super) fn quoted(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts
        .iter()
        .map(|t| meta::field::quote(t.as_ref()))
        .collect();
    format!("[{}]", texts.join(" "))
}

fn has(set: &[Str], text: &str) -> bool {
    set.iter().any(|own| own == text)
}

fn has_or_all(set: &[Str], text: &str) -> bool {
    set.iter().any(|own| own == ALL || own == text)
}

fn has_each(set: &[Str], others: &[Str]) -> bool {
    others.iter().all(|other| has(set, other))
}

/// Whether a rule's path, which may end in `*`, includes another.
fn url_covers(own: &str, url: &str) -> bool {
    own == url || (own.ends_with('*') && url.starts_with(own.trim_end_matches('*')))
}
