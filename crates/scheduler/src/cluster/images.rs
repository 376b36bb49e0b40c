//! Which nodes already have which image.

use rustc_hash::{FxHashMap, FxHashSet};

use super::NodeId;
use crate::node::NodeInfo;

/// All images of all nodes.
#[derive(Debug, Default)]
pub struct Images {
    by_name: FxHashMap<Box<str>, Image>,
}

/// One image.
#[derive(Debug, Default)]
pub struct Image {
    pub size: i64,
    nodes: FxHashSet<NodeId>,
}

impl Image {
    /// Whether the node has the image.
    pub fn is_on(&self, node: NodeId) -> bool {
        self.nodes.contains(&node)
    }

    /// How many nodes have the image.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
}

impl Images {
    /// The image of a name, if some node has it.
    pub fn get(&self, name: &str) -> Option<&Image> {
        self.by_name.get(name)
    }

    /// A node changed from `old` to `new`.
    pub fn set(&mut self, id: NodeId, old: Option<&NodeInfo>, new: Option<&NodeInfo>) {
        let [old, new] = [old, new].map(|node| node.map_or(&[][..], |node| &node.images));
        if old == new {
            return;
        }
        for (name, _) in old {
            self.take(name, id);
        }
        for (name, size) in new {
            let image = self.by_name.entry(name.clone()).or_default();
            image.size = *size;
            image.nodes.insert(id);
        }
    }

    fn take(&mut self, name: &str, id: NodeId) {
        if let Some(image) = self.by_name.get_mut(name) {
            image.nodes.remove(&id);
            if image.nodes.is_empty() {
                self.by_name.remove(name);
            }
        }
    }
}
