//! What the cluster and the kubeconfig offer to complete.

use super::line::Line;
use crate::api::query;
use crate::globals::Globals;
use crate::shell::Shell;
use meta::Value;

/// The cluster that the options on the line speak of.
pub(super) struct Cluster {
    shell: Shell,
}

impl Cluster {
    /// Nothing is asked yet.
    pub(super) fn new(line: &Line<'_>) -> Self {
        let value = |name: &str| {
            let mut given = line.values.iter().rev();
            given
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        let globals = Globals {
            kubeconfig: value("kubeconfig"),
            context: value("context"),
            cluster: value("cluster"),
            user: value("user"),
            namespace: value("namespace"),
            server: value("server"),
            token: value("token"),
            // Nobody waits longer for candidates.
            request_timeout: "5s".into(),
            ..Globals::default()
        };
        Cluster {
            shell: Shell::new(globals),
        }
    }

    /// The names of a list of the kubeconfig.
    pub(super) fn entries(&self, list: &str) -> Vec<String> {
        self.shell
            .config()
            .map(|config| config.names(list))
            .unwrap_or_default()
    }

    /// The types that can be read.
    pub(super) async fn types(&self) -> Vec<String> {
        let Ok(discovery) = self.shell.discovery().await else {
            return Vec::new();
        };
        let mut all: Vec<_> = discovery.preferred();
        all.retain(|resource| resource.can("get"));
        all.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        all.iter()
            .map(|resource| resource.group_resource())
            .collect()
    }

    /// The names of all objects of a type, or of several with commas between.
    pub(super) async fn names(&self, types: &str) -> Vec<String> {
        let mut out = Vec::new();
        for word in types.split(',') {
            out.extend(self.names_of(word).await.unwrap_or_default());
        }
        out
    }

    async fn names_of(&self, word: &str) -> Option<Vec<String>> {
        const NAMES: &str =
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
        let resource = self.shell.resource(word).await.ok()?;
        let (namespace, _) = self.shell.namespace().ok()?;
        let path = query(&resource.collection(&namespace), &[("limit", "1000")]);
        let list = self
            .shell
            .api()
            .await
            .ok()?
            .get_as(&path, NAMES)
            .await
            .ok()?;
        let names = list.items_at(&["items"]).iter();
        Some(
            names
                .map(|item| item.str_at(&["metadata", "name"]).to_string())
                .collect(),
        )
    }

    /// The pod that a word means: a name, or an object that has pods.
    async fn pod(&self, word: &str) -> Option<Value> {
        crate::pods::of(&self.shell, word)
            .await
            .ok()?
            .into_iter()
            .next()
    }

    /// The containers of a pod, those that start it first.
    pub(super) async fn containers(&self, word: &str) -> Vec<String> {
        let pod = self.pod(word).await.unwrap_or_default();
        let lists = ["initContainers", "containers"].map(|list| pod.items_at(&["spec", list]));
        let names = lists
            .into_iter()
            .flatten()
            .map(|c| c.str_at(&["name"]).to_string());
        names.collect()
    }

    /// The ports of a pod or of a Service, each to itself.
    pub(super) async fn ports(&self, word: &str) -> Vec<String> {
        let (object, list, field) = match word.split_once('/') {
            Some(("service" | "services" | "svc", name)) => {
                (self.service(name).await, vec!["spec", "ports"], "port")
            }
            _ => (
                self.pod(word).await,
                vec!["spec", "containers"],
                "containerPort",
            ),
        };
        let object = object.unwrap_or_default();
        let ports = object.items_at(&list).iter();
        let ports = ports.flat_map(|entry| match field {
            "port" => std::slice::from_ref(entry),
            _ => entry.items_at(&["ports"]),
        });
        let numbers = ports.filter_map(|port| port.i64_at(&[field]));
        numbers.map(|number| format!("{number}:{number}")).collect()
    }

    async fn service(&self, name: &str) -> Option<Value> {
        let (namespace, _) = self.shell.namespace().ok()?;
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
        self.shell.api().await.ok()?.get(&path).await.ok()
    }
}
