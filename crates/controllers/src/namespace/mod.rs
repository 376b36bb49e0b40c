//! Namespaces that shall go: first their pods, then everything else in them, then they themselves.
//!
//! Follows pkg/controller/namespace/deletion/namespaced_resources_deleter.go.

mod conditions;
mod content;
#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::{Controller, Rule};
use client::{Api, Client, Error};
use conditions::Findings;
use content::Remaining;
use informer::{Action, BoxError, Change, ObjectKey, Reconcile, Workers};
use std::sync::Arc;
use std::time::Duration;
use stdx::Clock;
use typed::Typed;
use typed::api::core::v1::Namespace;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "namespace-controller",
    identity: "namespace-controller",
    rules: &[
        Rule::new(&[""], &["namespaces"], &["delete", "get", "list", "watch"]),
        Rule::new(
            &[""],
            &["namespaces/finalize", "namespaces/status"],
            &["update"],
        ),
        Rule::new(
            &["*"],
            &["*"],
            &["delete", "deletecollection", "get", "list"],
        ),
    ],
    start,
};

/// The finalizer of namespaces whose content this controller deletes.
const FINALIZER: &str = "kubernetes";

fn start(context: &Context) {
    let namespaces = context.factory.informer::<Namespace>();
    let queue = context.queue();
    let (pending, grace) = (queue.clone(), context.options.namespace_deletion_grace);
    namespaces.on_change(move |change: &Change<Namespace>| {
        if let Some(namespace) = change
            .new
            .as_ref()
            .filter(|namespace| namespace.is_deleting())
        {
            pending.add_after(ObjectKey::of(&**namespace), grace);
        }
    });
    let controller = Arc::new(Namespaces {
        client: context.client.clone(),
        api: context.client.api(),
        clock: context.clock.clone(),
    });
    let synced = async move { namespaces.synced().await };
    context.reconcile(queue, Workers::new(10), synced, controller);
}

struct Namespaces {
    client: Client,
    api: Api<Namespace>,
    clock: Clock,
}

/// Something in a namespace could not be deleted.
#[derive(Debug, thiserror::Error)]
#[error("delete content of namespace {namespace}: {problems}")]
struct Failed {
    namespace: String,
    problems: String,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Namespaces {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        // The server is asked rather than the cache: what follows cannot be undone.
        let namespace = match self.api.get(&key.name).await {
            Err(error) if error.is_not_found() => return Ok(Action::Done),
            outcome => outcome?,
        };
        if !namespace.is_deleting() || !is_ours(&namespace) {
            return Ok(Action::Done);
        }
        let namespace = self.mark_terminating(namespace).await?;
        let mut findings = Findings::default();
        let remaining = self.delete_content(namespace.name(), &mut findings).await;
        let namespace = self.write_conditions(namespace, &findings).await?;
        if let Some(problems) = findings.problems() {
            return Err(Failed {
                namespace: key.name.clone(),
                problems,
            }
            .into());
        }
        if let Some(seconds) = remaining.look_again_in() {
            return Ok(Action::After(Duration::from_secs(seconds / 2 + 1)));
        }
        self.finalize(namespace).await?;
        Ok(Action::Done)
    }
}

impl Namespaces {
    async fn delete_content(&self, namespace: &str, findings: &mut Findings) -> Remaining {
        let discovery = match self.client.discover().await {
            Ok(discovery) => discovery,
            Err(error) => {
                findings.undiscovered(&[("all groups".to_owned(), error)]);
                return Remaining::default();
            }
        };
        findings.undiscovered(&discovery.failures);
        let mut resources: Vec<_> = discovery
            .resources
            .into_iter()
            .filter(|resource| resource.namespaced && resource.can("delete"))
            .collect();
        resources.sort_by(|one, two| one.gvr.cmp(&two.gvr));
        let is_pods = |resource: &client::ApiResource| {
            resource.gvr.group.is_empty() && resource.gvr.resource == "pods"
        };
        let (pods, others): (Vec<_>, Vec<_>) = resources.into_iter().partition(is_pods);
        let mut remaining = Remaining::default();
        // Pods go first: they may need what else is there to end well.
        for group in [pods, others] {
            for resource in group {
                content::delete(&self.client, &resource, namespace, &mut remaining, findings).await;
            }
            if remaining.look_again_in().is_some() || findings.problems().is_some() {
                break;
            }
        }
        findings.remaining(&remaining);
        remaining
    }

    async fn mark_terminating(&self, mut namespace: Namespace) -> Result<Namespace, Error> {
        let status = namespace.status.get_or_insert_default();
        if status.phase.as_deref() == Some("Terminating") {
            return Ok(namespace);
        }
        status.phase = Some("Terminating".to_owned());
        self.api.replace_status(&namespace).await
    }

    async fn write_conditions(
        &self,
        mut namespace: Namespace,
        findings: &Findings,
    ) -> Result<Namespace, Error> {
        let status = namespace.status.get_or_insert_default();
        if findings.update(status, self.clock.wall()) {
            return self.api.replace_status(&namespace).await;
        }
        Ok(namespace)
    }

    async fn finalize(&self, mut namespace: Namespace) -> Result<(), Error> {
        if let Some(finalizers) = namespace
            .spec
            .as_mut()
            .and_then(|spec| spec.finalizers.as_mut())
        {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        match self.api.finalize(&namespace).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

fn is_ours(namespace: &Namespace) -> bool {
    let finalizers = namespace
        .spec
        .iter()
        .flat_map(|spec| spec.finalizers.iter().flatten());
    finalizers
        .into_iter()
        .any(|finalizer| finalizer == FINALIZER)
}
