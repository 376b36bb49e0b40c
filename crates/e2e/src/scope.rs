//! One test's part of a shared cluster: a namespace and ways to look at it.

use crate::cluster::Cluster;
use crate::kubectl::{Kubectl, Outcome};
use crate::wait::{eventually, patiently, until};
use serde_json::Value;
use std::ops::Deref;
use std::sync::Arc;

/// One test's namespace. What it dereferences to is kubectl in that namespace.
#[derive(Clone)]
pub struct Scope {
    /// The cluster that it shares with others.
    pub cluster: Arc<Cluster>,
    /// The namespace.
    pub namespace: String,
    kubectl: Kubectl,
}

impl Deref for Scope {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.kubectl
    }
}

impl Scope {
    /// Makes a namespace and waits until pods can be made in it.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(cluster: Arc<Cluster>, namespace: &str) -> Scope {
        let kubectl = cluster.kubectl();
        kubectl.ok(&format!("create namespace {namespace}"));
        let kubectl = kubectl.within(namespace);
        until("the namespace has its service account", || {
            kubectl.run("get serviceaccount default").is_ok()
        });
        Scope {
            cluster,
            namespace: namespace.to_string(),
            kubectl,
        }
    }

    /// Applies a pod that has one container, from its fields after `containers: - `.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn pod(&self, name: &str, spec: &str) {
        self.apply(&pod(name, spec));
    }

    /// Applies a pod and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[track_caller]
    pub fn ready_pod(&self, name: &str, spec: &str) {
        self.pod(name, spec);
        self.wait_ready(name);
    }

    /// Waits until a pod is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[track_caller]
    pub fn wait_ready(&self, name: &str) {
        self.ok(&format!(
            "wait --for=condition=Ready --timeout=60s pod/{name}"
        ));
    }

    /// Waits until a pod has ended well and returns what it said.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn said_at_end(&self, name: &str) -> String {
        let phase = patiently(
            &format!("the end of pod {name}"),
            || self.field(&format!("pod {name}"), "{.status.phase}"),
            |phase| ["Succeeded", "Failed"].contains(&phase.as_str()),
        );
        let said = self.ok(&format!("logs {name}"));
        assert_eq!(phase, "Succeeded", "pod {name} said {said}");
        said
    }

    /// One field, by JSONPath; empty when the object or the field is absent.
    pub fn field(&self, what: &str, path: &str) -> String {
        self.run(&format!("get {what} -o jsonpath='{path}'")).stdout
    }

    /// Waits until a field has a value.
    ///
    /// # Panics
    /// When it does not get it.
    #[track_caller]
    pub fn wait_field(&self, what: &str, path: &str, value: &str) {
        patiently(
            &format!("{what} {path} = {value}"),
            || self.field(what, path),
            |found| found == value,
        );
    }

    /// Waits until an object is gone.
    ///
    /// # Panics
    /// When it stays.
    #[track_caller]
    pub fn wait_gone(&self, what: &str) {
        until(&format!("{what} is gone"), || {
            let outcome = self.run(&format!("get {what}"));
            !outcome.is_ok() && outcome.stderr.contains("NotFound")
        });
    }

    /// Runs a shell command in a pod.
    pub fn sh(&self, pod: &str, script: &str) -> Outcome {
        let mut command = self.command(&format!("exec {pod} --"));
        command.args(["sh", "-c", script]);
        Outcome::of(&mut command)
    }

    /// Runs a shell command in a pod and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn sh_ok(&self, pod: &str, script: &str) -> String {
        let outcome = self.sh(pod, script);
        assert!(outcome.is_ok(), "{script:?} in {pod}: {outcome:#?}");
        outcome.stdout
    }

    /// Waits until a shell command in a pod prints what is right.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn sh_until(&self, pod: &str, script: &str, right: impl Fn(&str) -> bool) -> String {
        patiently(
            &format!("{script:?} in {pod}"),
            || self.sh(pod, script).text(),
            |text| right(text),
        )
    }

    /// Waits for an event about an object.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn event(&self, object: &str, reason: &str) -> Value {
        let selector = format!("involvedObject.name={object},reason={reason}");
        eventually(&format!("event {reason} of {object}"), || {
            let list = self.find(&format!("events --field-selector {selector}"))?;
            list["items"].as_array()?.first().cloned()
        })
    }
}

/// The manifest of a pod, from the fields of its specification; indentation
/// follows from the first line's.
pub fn pod(name: &str, spec: &str) -> String {
    let lines: Vec<&str> = spec
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let indent = lines
        .iter()
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let body: String = lines
        .iter()
        .map(|line| format!("  {}\n", &line[indent..]))
        .collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec:\n  terminationGracePeriodSeconds: 1\n{body}"
    )
}
