//! The seam to the kubelets, for logs, exec and everything that streams.

use crate::answer::Answer;
use crate::stack::Request;
use async_trait::async_trait;
use meta::Status;

/// Where a kubelet is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeletAddress {
    /// The node's name, as its certificate carries it.
    pub node: String,
    /// An address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// The way to the kubelets.
#[async_trait]
pub trait Kubelets: Send + Sync {
    /// Passes a request on, upgrades included: `path_and_query` at the kubelet.
    async fn forward(
        &self,
        to: &KubeletAddress,
        path_and_query: &str,
        request: Request,
    ) -> Result<Answer, Status>;
}
