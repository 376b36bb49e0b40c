//! What the cluster serves, and which of it a word on the command line means.
//!
//! Follows client-go's restmapper (short names, categories, priorities by the order of groups).

use crate::api::Api;
use crate::error::{Result, said};
use crate::io;
use meta::Value;
use std::sync::Arc;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// One resource that the cluster serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its group; empty for the core.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its plural name.
    pub name: String,
    /// Its singular name.
    pub singular: String,
    /// The kind of its objects.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
    /// Its short names.
    pub short_names: Vec<String>,
    /// The categories it belongs to.
    pub categories: Vec<String>,
    /// Its subresources.
    pub subresources: Vec<String>,
    /// Whether this is the version that its group prefers.
    pub preferred: bool,
}

impl Resource {
    /// `apps/v1`, or `v1`.
    pub fn group_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `deployments.apps`, or `pods`.
    pub fn group_resource(&self) -> String {
        match self.group.as_str() {
            "" => self.name.clone(),
            group => format!("{}.{group}", self.name),
        }
    }

    /// `deployment.apps`, or `pod`: what stands before names.
    pub fn prefix(&self) -> String {
        kind_prefix(&self.kind, &self.group)
    }

    /// Whether it knows a verb.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The path of its collection, in a namespace unless that is empty.
    pub fn collection(&self, namespace: &str) -> String {
        let root = match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        match self.namespaced && !namespace.is_empty() {
            true => format!("{root}/namespaces/{namespace}/{}", self.name),
            false => format!("{root}/{}", self.name),
        }
    }

    /// The path of an object.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }
}

/// `deployment.apps`, or `pod`.
pub fn kind_prefix(kind: &str, group: &str) -> String {
    match group {
        "" => kind.to_lowercase(),
        group => format!("{}.{group}", kind.to_lowercase()),
    }
}

/// The group of an `apiVersion`.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// All that the cluster serves, groups in its order.
#[derive(Debug, Default)]
pub struct Discovery {
    /// The resources of all versions.
    pub resources: Vec<Arc<Resource>>,
    /// All groups with their versions, as `apps/v1`.
    pub group_versions: Vec<String>,
}

impl Discovery {
    /// Asks the cluster.
    pub async fn read(api: &Api) -> Result<Self> {
        let mut discovery = Discovery::default();
        for root in ["/api", "/apis"] {
            let tree = api.get_as(root, AGGREGATED).await?;
            match tree.str_at(&["kind"]) {
                "APIGroupDiscoveryList" => discovery.add_aggregated(&tree),
                _ => discovery.add_plain(api, root, &tree).await?,
            }
        }
        Ok(discovery)
    }

    fn add_aggregated(&mut self, tree: &Value) {
        for group in tree.items_at(&["items"]) {
            let name = group.str_at(&["metadata", "name"]);
            for (i, version) in group.items_at(&["versions"]).iter().enumerate() {
                let version_name = version.str_at(&["version"]);
                self.group_versions.push(join(name, version_name));
                for resource in version.items_at(&["resources"]) {
                    let made = aggregated(name, version_name, resource, i == 0);
                    self.resources.push(Arc::new(made));
                }
            }
        }
    }

    async fn add_plain(&mut self, api: &Api, root: &str, tree: &Value) -> Result {
        if root == "/api" {
            for version in tree
                .items_at(&["versions"])
                .iter()
                .filter_map(Value::as_str)
            {
                self.add_plain_version(api, "", version, version == "v1")
                    .await?;
            }
            return Ok(());
        }
        for group in tree.items_at(&["groups"]) {
            let name = group.str_at(&["name"]);
            let preferred = group.str_at(&["preferredVersion", "version"]);
            for version in group.items_at(&["versions"]) {
                let version = version.str_at(&["version"]);
                self.add_plain_version(api, name, version, version == preferred)
                    .await?;
            }
        }
        Ok(())
    }

    async fn add_plain_version(
        &mut self,
        api: &Api,
        group: &str,
        version: &str,
        preferred: bool,
    ) -> Result {
        let path = match group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        self.group_versions.push(join(group, version));
        let list = match api.get(&path).await {
            Ok(list) => list,
            Err(error) => {
                io::warn(format!(
                    "couldn't get resource list for {}: {error}",
                    &path[6..]
                ));
                return Ok(());
            }
        };
        let all = list.items_at(&["resources"]);
        for entry in all.iter().filter(|e| !e.str_at(&["name"]).contains('/')) {
            let name = entry.str_at(&["name"]);
            let below = format!("{name}/");
            self.resources.push(Arc::new(Resource {
                group: or(entry.str_at(&["group"]), group),
                version: or(entry.str_at(&["version"]), version),
                name: name.to_string(),
                singular: entry.str_at(&["singularName"]).to_string(),
                kind: entry.str_at(&["kind"]).to_string(),
                namespaced: entry.is_true_at(&["namespaced"]),
                verbs: texts(entry, "verbs"),
                short_names: texts(entry, "shortNames"),
                categories: texts(entry, "categories"),
                subresources: all
                    .iter()
                    .filter_map(|e| e.str_at(&["name"]).strip_prefix(&below))
                    .map(str::to_string)
                    .collect(),
                preferred,
            }));
        }
        Ok(())
    }

    /// The resource that a word means: `po`, `Pod`, `deployments.apps`, `pods.v1.`.
    pub fn find(&self, word: &str) -> Result<Arc<Resource>> {
        let lower = word.to_lowercase();
        let found = self.find_exact(&lower, None, None).or_else(|| {
            let (name, rest) = lower.split_once('.')?;
            let versioned = rest
                .split_once('.')
                .and_then(|(version, group)| self.find_exact(name, Some(group), Some(version)));
            versioned.or_else(|| self.find_exact(name, Some(rest), None))
        });
        match found {
            Some(resource) => Ok(resource),
            None => {
                let name = lower.split('.').next().unwrap_or_default();
                said(format!(
                    "the server doesn't have a resource type \"{name}\""
                ))
            }
        }
    }

    /// All resources, one of each group, that go by a name.
    pub fn named(&self, word: &str) -> Vec<Arc<Resource>> {
        let word = word.to_lowercase();
        let preferred = self.preferred();
        let by_name = |r: &&Arc<Resource>| {
            r.name == word || r.singular == word || r.kind.to_lowercase() == word
        };
        let found: Vec<_> = preferred.iter().filter(by_name).cloned().collect();
        match found.is_empty() {
            true => self.find(&word).into_iter().collect(),
            false => found,
        }
    }

    fn find_exact(
        &self,
        word: &str,
        group: Option<&str>,
        version: Option<&str>,
    ) -> Option<Arc<Resource>> {
        let fits = |r: &&Arc<Resource>| {
            group.is_none_or(|g| r.group == g) && version.map_or(r.preferred, |v| r.version == v)
        };
        let named = |r: &&Arc<Resource>| {
            r.name == word || r.singular == word || r.kind.to_lowercase() == word
        };
        let short = |r: &&Arc<Resource>| r.short_names.iter().any(|name| name == word);
        let all = || self.resources.iter().filter(fits);
        let by_short_name = || {
            let mut found = all().filter(short);
            let first = found.next()?;
            found.for_each(|other| warn_of(word, other));
            Some(first)
        };
        let exact = all().find(named).or_else(by_short_name);
        // A group may serve a resource only in a version that it does not prefer.
        let elsewhere = || {
            let rest = || {
                self.resources
                    .iter()
                    .filter(|r| group.is_none_or(|g| r.group == g))
            };
            rest().find(named).or_else(|| rest().find(short))
        };
        match version {
            Some(_) => exact.cloned(),
            None => exact.or_else(elsewhere).cloned(),
        }
    }

    /// The resource of a kind in a group and version.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let found = self
            .resources
            .iter()
            .find(|r| r.kind == kind && r.group_version() == api_version);
        found.cloned()
    }

    /// The resources of a category, or nothing when the word is none.
    pub fn category(&self, word: &str) -> Vec<Arc<Resource>> {
        let members = self.resources.iter().filter(|r| {
            r.preferred && r.can("list") && r.categories.iter().any(|name| name == word)
        });
        members.cloned().collect()
    }

    /// The resources in the versions that their groups prefer, once each.
    pub fn preferred(&self) -> Vec<Arc<Resource>> {
        let mut out: Vec<Arc<Resource>> = Vec::new();
        for resource in &self.resources {
            let same = |r: &Arc<Resource>| r.name == resource.name && r.group == resource.group;
            if !out.iter().any(same) {
                out.push(resource.clone());
            }
        }
        out
    }
}

/// Says, once, that a short name is that of another resource too. Follows client-go's
/// restmapper/shortcut.go.
fn warn_of(word: &str, other: &Resource) {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        let name = other.group_resource();
        io::warn(format!(
            "Warning: short name \"{word}\" could also match lower priority resource {name}"
        ));
    });
}

fn aggregated(group: &str, version: &str, entry: &Value, preferred: bool) -> Resource {
    let kind = entry.get("responseKind");
    let of_kind =
        |field: &str, otherwise: &str| or(kind.map_or("", |kind| kind.str_at(&[field])), otherwise);
    Resource {
        group: of_kind("group", group),
        version: of_kind("version", version),
        name: entry.str_at(&["resource"]).to_string(),
        singular: entry.str_at(&["singularResource"]).to_string(),
        kind: of_kind("kind", ""),
        namespaced: entry.str_at(&["scope"]) == "Namespaced",
        verbs: texts(entry, "verbs"),
        short_names: texts(entry, "shortNames"),
        categories: texts(entry, "categories"),
        subresources: entry
            .items_at(&["subresources"])
            .iter()
            .map(|sub| sub.str_at(&["subresource"]).to_string())
            .collect(),
        preferred,
    }
}

fn join(group: &str, version: &str) -> String {
    match group {
        "" => version.to_string(),
        group => format!("{group}/{version}"),
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_string()
}

fn texts(tree: &Value, key: &str) -> Vec<String> {
    let items = tree.items_at(&[key]).iter();
    items
        .filter_map(Value::as_str)
        .map(str::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn discovery() -> Discovery {
        let mut all = Discovery::default();
        all.add_aggregated(&value!({"items": [
            {"metadata": {}, "versions": [{"version": "v1", "resources": [
                {"resource": "pods", "singularResource": "pod", "scope": "Namespaced", "shortNames": ["po"],
                 "categories": ["all"], "verbs": ["list"], "responseKind": {"group": "", "version": "v1", "kind": "Pod"}},
                {"resource": "events", "responseKind": {"kind": "Event"}}
            ]}]},
            {"metadata": {"name": "events.k8s.io"}, "versions": [{"version": "v1", "resources": [
                {"resource": "events", "responseKind": {"kind": "Event"}}
            ]}]}
        ]}));
        all
    }

    #[test]
    fn words_find_their_resource() {
        let all = discovery();
        for word in ["po", "pod", "pods", "Pod", "pods.v1.", "pods.v1"] {
            let found = all.find(word);
            match word {
                "pods.v1" => assert!(found.is_err(), "a group may be called v1"),
                _ => assert_eq!(found.expect(word).name, "pods"),
            }
        }
        assert_eq!(all.find("events").expect("events").group, "");
        assert_eq!(
            all.find("ev.events.k8s.io")
                .err()
                .map(|e| e.to_string())
                .as_deref(),
            Some("the server doesn't have a resource type \"ev\"")
        );
        assert_eq!(
            all.find("events.events.k8s.io").expect("events").group,
            "events.k8s.io"
        );
        assert_eq!(all.category("all").len(), 1);
    }
}
