//! A node as the scheduler sees it: what of the object decides placement.

use std::sync::Arc;

use typed::api::core::v1::Node;

use crate::labels::Labels;
use crate::pod::normalized_image_name;
use crate::resources::{QuantityError, Resources};
use crate::taint::Taint;

/// The label whose value is a node's zone.
pub const LABEL_ZONE: &str = "topology.kubernetes.io/zone";
/// The label whose value is a node's region.
pub const LABEL_REGION: &str = "topology.kubernetes.io/region";
/// The label whose value is a node's host name.
pub const LABEL_HOSTNAME: &str = "kubernetes.io/hostname";

/// The deciding parts of a node, read once when it changes.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeInfo {
    name: Arc<str>,
    labels: Labels,
    pub(crate) unschedulable: bool,
    pub(crate) taints: Box<[Taint]>,
    pub(crate) allocatable: Resources,
    pub(crate) allowed_pods: i64,
    /// Names of images that are here, each with its size.
    pub(crate) images: Box<[(Box<str>, i64)]>,
}

impl NodeInfo {
    /// Reads a node.
    pub fn new(node: &Node) -> Result<Self, QuantityError> {
        let spec = node.spec.as_ref();
        let status = node.status.as_ref();
        let allocatable = status.and_then(|status| status.allocatable.as_ref());
        let taints = spec.and_then(|spec| spec.taints.as_deref());
        Ok(Self {
            name: node.metadata.name.as_deref().unwrap_or_default().into(),
            labels: Labels::from_map(node.metadata.labels.as_ref()),
            unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or_default(),
            taints: taints
                .unwrap_or_default()
                .iter()
                .filter_map(Taint::new)
                .collect(),
            allocatable: Resources::from_list(allocatable)?,
            allowed_pods: allowed_pods(node)?,
            images: images(node),
        })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key)
    }

    /// The node's labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Region and zone together; nodes are tried in turn between these.
    /// Follows k8s.io/component-helpers/node/topology/helpers.go.
    pub fn zone(&self) -> Option<(&str, &str)> {
        let either = |stable, beta| self.label(stable).or_else(|| self.label(beta));
        let zone = either(LABEL_ZONE, "failure-domain.beta.kubernetes.io/zone");
        let region = either(LABEL_REGION, "failure-domain.beta.kubernetes.io/region");
        let pair = (region.unwrap_or_default(), zone.unwrap_or_default());
        (pair != ("", "")).then_some(pair)
    }
}

fn allowed_pods(node: &Node) -> Result<i64, QuantityError> {
    let allocatable = node.status.as_ref().and_then(|s| s.allocatable.as_ref());
    let Some(pods) = allocatable.and_then(|list| list.get("pods")) else {
        return Ok(0);
    };
    // Reading it under another name keeps one reader of quantities.
    let list = [("memory".to_owned(), pods.clone())].into();
    Ok(Resources::from_list(Some(&list))?.memory)
}

fn images(node: &Node) -> Box<[(Box<str>, i64)]> {
    let images = node.status.as_ref().and_then(|s| s.images.as_deref());
    let mut names: Vec<(Box<str>, i64)> = images
        .unwrap_or_default()
        .iter()
        .flat_map(|image| {
            let size = image.size_bytes.unwrap_or_default();
            let names = image.names.iter().flatten();
            names.map(move |name| (normalized_image_name(name), size))
        })
        .collect();
    names.sort_unstable();
    names.dedup_by(|a, b| a.0 == b.0);
    names.into_boxed_slice()
}
