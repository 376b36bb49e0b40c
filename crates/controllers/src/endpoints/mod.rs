//! Endpoints: all addresses of a Service in one object, at most a thousand. Follows
//! pkg/controller/endpoint/endpoints_controller.go.

mod plan;
mod unseen;

use crate::context::{Context, enqueue_changed};
use crate::rule::EVENTS;
use crate::services::{self, TriggerTimes};
use crate::{Controller, Rule};
use client::events::{Recorder, WARNING};
use client::{Api, DeleteOptions, Error};
use informer::{Action, BoxError, Cached, ObjectKey, Reconcile, Store, Workers};
use std::sync::Arc;
use typed::Typed;
use typed::api::core::v1::{Endpoints, Service};
use typed::lean::Pod;
use unseen::Unseen;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "endpoints-controller",
    identity: "endpoint-controller",
    rules: &[
        Rule::new(&[""], &["pods", "services"], &["get", "list", "watch"]),
        Rule::new(
            &[""],
            &["endpoints"],
            &["create", "delete", "get", "list", "update", "watch"],
        ),
        Rule::new(&[""], &["endpoints/restricted"], &["create"]),
        EVENTS,
    ],
    start,
};

fn start(context: &Context) {
    let services = context.factory.informer::<Service>();
    let pods = crate::pods::informer(context);
    let endpoints = context.factory.informer::<Endpoints>();
    let queue = context.queue();
    enqueue_changed(&services, &queue);
    services::enqueue_services_of(&pods, services.store(), &queue);
    let unseen = Arc::new(Unseen::default());
    let (shown, on_change) = (Arc::clone(&unseen), queue.clone());
    endpoints.on_change(move |change| {
        let key = ObjectKey::of(&**change.object());
        if change.is_removal() | shown.end_wait(&key) {
            on_change.add(key);
        }
    });
    let controller = Arc::new(Controlled {
        services: services.store(),
        pods: pods.store(),
        endpoints: endpoints.store(),
        api: context.client.api(),
        recorder: context.recorder("endpoint-controller"),
        triggers: TriggerTimes::default(),
        unseen,
    });
    let synced = async move {
        services.synced().await;
        pods.synced().await;
        endpoints.synced().await;
    };
    context.reconcile(queue, Workers::new(5).failures_max(15), synced, controller);
}

struct Controlled {
    services: Store<Service>,
    pods: Store<Pod>,
    endpoints: Store<Endpoints>,
    api: Api<Endpoints>,
    recorder: Recorder,
    triggers: TriggerTimes,
    unseen: Arc<Unseen>,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Controlled {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let Some(service) = self.services.by_key(key) else {
            self.triggers.forget(key);
            self.unseen.forget(key);
            self.delete(key).await?;
            return Ok(Action::Done);
        };
        if !services::is_managed(&service) {
            return Ok(Action::Done);
        }
        let mut pods = self.pods.namespace(service.namespace());
        pods.retain(|pod| services::selects(&service, pod));
        let trigger = self
            .triggers
            .oldest_change(&service, pods.iter().map(|pod| &**pod));
        self.unseen.wait(key);
        let current = self.endpoints.by_key(key);
        if self.is_stale(key, current.as_deref()).await? {
            return Ok(Action::Done);
        }
        match plan::plan(&service, &pods, current.as_deref(), trigger) {
            Some(endpoints) => self.write(&service, &endpoints, current.is_none()).await?,
            None => {
                self.unseen.end_wait(key);
            }
        }
        Ok(Action::Done)
    }
}

impl Controlled {
    /// Whether the cache has not shown yet what was written; it will, and then the Service is
    /// looked at again. What came and went while no watch was open will never be shown: the API
    /// server knows.
    async fn is_stale(&self, key: &ObjectKey, current: Option<&Endpoints>) -> Result<bool, Error> {
        let version = current.map_or("", |endpoints| endpoints.resource_version());
        let is_stale = self.unseen.is_stale(key, version);
        if !is_stale || current.is_some() {
            return Ok(is_stale);
        }
        match self.api.namespace(&key.namespace).get(&key.name).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write(
        &self,
        service: &Service,
        endpoints: &Endpoints,
        is_new: bool,
    ) -> Result<(), Error> {
        let written = if is_new {
            self.api.create(endpoints).await
        } else {
            self.api.replace(endpoints).await
        };
        let key = service.object_key();
        let error = match written {
            Ok(written) => {
                // What changes nothing leaves the version as it was, and is not shown.
                let version = endpoints.resource_version();
                if written.resource_version() != version {
                    self.unseen.note_replaced(&key, version);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        // Nothing can be created there any more.
        if is_new && error.is_namespace_terminating() {
            return Ok(());
        }
        let (reason, message) = if is_new {
            (
                "FailedToCreateEndpoint",
                format!(
                    "Failed to create endpoint for service {key}: {}",
                    error.message()
                ),
            )
        } else {
            (
                "FailedToUpdateEndpoint",
                format!("Failed to update endpoint {key}: {}", error.message()),
            )
        };
        self.recorder
            .event(&endpoints.object_reference(), WARNING, reason, message);
        Err(error)
    }

    /// Addresses go with their Service. Those of a Service that never had one are somebody else's:
    /// only what is known to be ours is deleted without a look at the server.
    async fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        if self.endpoints.by_key(key).is_none() {
            return Ok(());
        }
        match self
            .api
            .namespace(&key.namespace)
            .delete(&key.name, &DeleteOptions::default())
            .await
        {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }
}
