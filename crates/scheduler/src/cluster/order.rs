//! The order in which nodes are tried: in turn between zones, so that the nodes
//! that a search looks at first are not all in one.
//!
//! Follows pkg/scheduler/backend/cache/node_tree.go.

use super::NodeId;
use crate::node::NodeInfo;

type Zone = Option<(Box<str>, Box<str>)>;

/// Nodes by zone, and the list that follows from them.
#[derive(Debug, Default)]
pub struct Order {
    zones: Vec<(Zone, Vec<NodeId>)>,
    count: usize,
    list: Vec<NodeId>,
    stale: bool,
}

impl Order {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The list as of the last refresh.
    pub fn list(&self) -> &[NodeId] {
        &self.list
    }

    /// Makes the list again if nodes came, left or moved.
    pub fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.list.clear();
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max();
        for turn in 0..longest.unwrap_or_default() {
            let of_turn = self.zones.iter().filter_map(|(_, nodes)| nodes.get(turn));
            self.list.extend(of_turn);
        }
    }

    /// A node changed from `old` to `new`.
    pub fn set(&mut self, id: NodeId, old: Option<&NodeInfo>, new: Option<&NodeInfo>) {
        let zone = |node: &NodeInfo| -> Zone {
            node.zone()
                .map(|(region, zone)| (region.into(), zone.into()))
        };
        let (old, new) = (old.map(zone), new.map(zone));
        if old == new {
            return;
        }
        if let Some(zone) = old {
            self.remove(id, &zone);
        }
        if let Some(zone) = new {
            self.add(id, zone);
        }
        self.stale = true;
    }

    fn add(&mut self, id: NodeId, zone: Zone) {
        self.count += 1;
        match self.zones.iter_mut().find(|(have, _)| *have == zone) {
            Some((_, nodes)) => nodes.push(id),
            None => self.zones.push((zone, vec![id])),
        }
    }

    fn remove(&mut self, id: NodeId, zone: &Zone) {
        self.count -= 1;
        if let Some(at) = self.zones.iter().position(|(have, _)| have == zone) {
            let nodes = &mut self.zones[at].1;
            nodes.retain(|have| *have != id);
            if nodes.is_empty() {
                self.zones.remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn zones_take_turns() {
        let mut order = Order::default();
        let zone = |zone: &str| {
            let node = node("n").label(crate::node::LABEL_ZONE, zone);
            NodeInfo::new(&node.build()).unwrap()
        };
        let (a, b) = (zone("a"), zone("b"));
        for (id, node) in [(0, &a), (1, &a), (2, &a), (3, &b), (4, &b)] {
            order.set(NodeId(id), None, Some(node));
        }
        let list = |order: &mut Order| -> Vec<u32> {
            order.refresh();
            order.list().iter().map(|id| id.0).collect()
        };
        assert_eq!(list(&mut order), [0, 3, 1, 4, 2]);
        order.set(NodeId(0), Some(&a), Some(&b));
        order.set(NodeId(1), Some(&a), None);
        assert_eq!(list(&mut order), [2, 3, 4, 0]);
        assert_eq!(order.len(), 4);
    }
}
