//! Finding what a path names: a pod of this node, and a container of it.

use std::sync::Arc;

use container::status::{
    ContainerFilter, ContainerState, ContainerStatus, SandboxFilter, SandboxState,
};
use http::StatusCode;
use typed::Typed;
use typed::api::core::v1::{Container, Pod};

use super::{Answer, Server, text};
use crate::labels;

/// A pod and one of its containers.
pub(super) struct Found {
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) status: ContainerStatus,
}

impl Server {
    /// The pod of this name, and of this uid if one is given.
    pub(super) fn pod(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<Arc<Pod>, Box<Answer>> {
        let known = self.handle.workers.pod(namespace, name);
        let pod = known.filter(|pod| uid.is_none_or(|uid| pod.uid() == uid));
        pod.ok_or_else(|| {
            let words = format!("pod \"{name}\" does not exist");
            Box::new(text(StatusCode::NOT_FOUND, words))
        })
    }

    /// The running container that `NS/POD[/UID]/CONTAINER` names.
    pub(super) async fn running(&self, path: &[&str]) -> Result<Found, Box<Answer>> {
        let (namespace, name, uid, container) = match path {
            [namespace, name, container] => (*namespace, *name, None, *container),
            [namespace, name, uid, container] => (*namespace, *name, Some(*uid), *container),
            _ => {
                return Err(Box::new(text(
                    StatusCode::NOT_FOUND,
                    "404 page not found\n",
                )));
            }
        };
        let pod = self.pod(namespace, name, uid)?;
        let not_found = || {
            let words = format!("container not found (\"{container}\")");
            Box::new(text(StatusCode::NOT_FOUND, words))
        };
        let (_, spec) = crate::pod::container(&pod, container).ok_or_else(not_found)?;
        let spec = spec.into_owned();
        let filter = ContainerFilter {
            state: Some(ContainerState::Running),
            labels: [(labels::POD_UID.to_owned(), pod.uid().to_owned())].into(),
            ..ContainerFilter::default()
        };
        let list = self.handle.cx.runtime.list_containers(&filter).await;
        let list = list.map_err(|error| Box::new(internal(error.chain())))?;
        let status = list.into_iter().rfind(|status| status.name == container);
        Ok(Found {
            status: status.ok_or_else(not_found)?,
            container: spec,
            pod,
        })
    }

    /// The id of the pod's sandbox that containers run in.
    pub(super) async fn sandbox(&self, pod: &Pod) -> Result<String, Box<Answer>> {
        let filter = SandboxFilter {
            state: Some(SandboxState::Ready),
            labels: [(labels::POD_UID.to_owned(), pod.uid().to_owned())].into(),
            ..SandboxFilter::default()
        };
        let list = self.handle.cx.runtime.list_sandboxes(&filter).await;
        let list = list.map_err(|error| Box::new(internal(error.chain())))?;
        let newest = list.into_iter().next_back();
        newest.map(|sandbox| sandbox.id).ok_or_else(|| {
            let words = format!("pod not found (\"{}_{}\")", pod.name(), pod.namespace());
            Box::new(text(StatusCode::NOT_FOUND, words))
        })
    }
}

pub(super) fn internal(words: impl Into<String>) -> Answer {
    text(StatusCode::INTERNAL_SERVER_ERROR, words)
}
