//! What the runtime and the network say of one pod at one moment.

use std::collections::BTreeMap;

use container::runtime::Runtime;
use container::status::{
    ContainerFilter, ContainerState, ContainerStatus, SandboxFilter, SandboxState, SandboxStatus,
};

use crate::doors::Network;
use crate::labels;

/// The pod as it is on this node.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Its sandboxes, the newest first.
    pub sandboxes: Vec<SandboxStatus>,
    /// Its containers, the newest first.
    pub containers: Vec<ContainerStatus>,
    /// Its addresses; none in the node's network.
    pub ips: Vec<String>,
}

impl Observed {
    /// Looks at the pod.
    pub async fn look(
        runtime: &dyn Runtime,
        network: &dyn Network,
        uid: &str,
    ) -> Result<Observed, container::Error> {
        let labels = BTreeMap::from([(labels::POD_UID.to_owned(), uid.to_owned())]);
        let sandboxes = SandboxFilter {
            labels: labels.clone(),
            ..SandboxFilter::default()
        };
        let containers = ContainerFilter {
            labels,
            ..ContainerFilter::default()
        };
        let sandboxes = runtime.list_sandboxes(&sandboxes).await?;
        let containers = runtime.list_containers(&containers).await?;
        let mut observed = Observed {
            sandboxes,
            containers,
            ips: network.addresses(uid).await,
        };
        observed.sort();
        Ok(observed)
    }

    fn sort(&mut self) {
        self.sandboxes
            .sort_by_key(|sandbox| std::cmp::Reverse((sandbox.created_ns, sandbox.attempt)));
        self.containers
            .sort_by_key(|container| std::cmp::Reverse((container.created_ns, container.attempt)));
    }

    /// The newest container of this name.
    pub fn newest(&self, name: &str) -> Option<&ContainerStatus> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }

    /// The newest container of this name in the newest sandbox.
    pub fn active(&self, name: &str) -> Option<&ContainerStatus> {
        let sandbox = self.sandbox()?;
        self.containers
            .iter()
            .find(|container| container.name == name && container.sandbox_id == sandbox.id)
    }

    /// The newest sandbox.
    pub fn sandbox(&self) -> Option<&SandboxStatus> {
        self.sandboxes.first()
    }

    /// The newest sandbox, if containers can run in it.
    pub fn ready_sandbox(&self) -> Option<&SandboxStatus> {
        self.sandbox()
            .filter(|sandbox| sandbox.state == SandboxState::Ready)
    }

    /// Containers whose process lives or may live.
    pub fn alive(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.containers.iter().filter(|container| {
            matches!(
                container.state,
                ContainerState::Running | ContainerState::Unknown
            )
        })
    }

    /// The container of this id.
    pub fn by_id(&self, id: &str) -> Option<&ContainerStatus> {
        self.containers.iter().find(|container| container.id == id)
    }
}
