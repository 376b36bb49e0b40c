//! Pods of one shape are a class: what a plugin says of a node by looking at the
//! node alone is the same for all of them, until the node changes. It is kept
//! between searches, so that the second pod of a template and all after it cost
//! little more than a glance at each node.
//!
//! Nothing needs to be thrown away when a node changes: each entry says as of
//! which change of its node it is true, and the cluster numbers the changes.

use std::sync::Arc;

use crate::cluster::{Cluster, NodeId};
use crate::framework::Rejected;
use crate::pod::Shape;

/// Classes that are kept; beyond them, the one that was not asked for longest
/// gives way. Few templates are rolled out at the same moment.
const CLASSES_MAX: usize = 8;

/// The classes of late, the latest first.
#[derive(Debug, Default)]
pub struct Classes {
    recent: Vec<Class>,
}

/// What is known of nodes for one class.
#[derive(Debug)]
pub struct Class {
    shape: Arc<Shape>,
    /// By node.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// The change of the node after which the rest was found out; 0 if it never was.
    as_of: u64,
    rejected: Option<Rejected>,
    score: Option<i64>,
}

impl Classes {
    /// The class of a shape.
    pub fn of(&mut self, shape: &Arc<Shape>) -> &mut Class {
        let mut classes = self.recent.iter();
        let at = match classes.position(|class| Arc::ptr_eq(&class.shape, shape)) {
            Some(at) => at,
            None => self.make(shape),
        };
        self.recent[..=at].rotate_right(1);
        &mut self.recent[0]
    }

    /// A new class, at the returned place.
    fn make(&mut self, shape: &Arc<Shape>) -> usize {
        self.recent.truncate(CLASSES_MAX - 1);
        self.recent.push(Class {
            shape: Arc::clone(shape),
            entries: Vec::new(),
        });
        self.recent.len() - 1
    }
}

impl Class {
    /// Whether a node fits by itself; `ask` tells if that is not known.
    pub fn verdict(
        &mut self,
        cluster: &Cluster,
        node: NodeId,
        ask: impl FnOnce() -> Result<(), Rejected>,
    ) -> Result<(), Rejected> {
        let now = cluster.last_change(node);
        if node.index() >= self.entries.len() {
            self.entries.resize(node.index() + 1, Entry::default());
        }
        let entry = &mut self.entries[node.index()];
        if entry.as_of != now {
            *entry = Entry {
                as_of: now,
                rejected: ask().err(),
                score: None,
            };
        }
        entry.rejected.map_or(Ok(()), Err)
    }

    /// The score that a node has by itself, if it is known. It was asked for its
    /// verdict in the same search.
    pub fn score(&self, node: NodeId) -> Option<i64> {
        self.entries.get(node.index())?.score
    }

    /// Keeps a node's score.
    pub fn keep_score(&mut self, node: NodeId, score: i64) {
        if let Some(entry) = self.entries.get_mut(node.index()) {
            entry.score = Some(score);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framework::{Code, Rejection};
    use crate::node::NodeInfo;
    use crate::pod::PodReader;
    use crate::testing::{node, pod};

    fn shape(cpu: i64) -> Arc<Shape> {
        let pod = pod("p").container(&format!("cpu={cpu}")).build();
        PodReader::default().read(&pod).unwrap().shape
    }

    #[test]
    fn a_node_is_asked_again_when_it_changed() {
        let mut cluster = Cluster::new(1);
        let set = |cluster: &mut Cluster, room: &str| {
            let info = NodeInfo::new(&node("a").allocatable(room).build()).unwrap();
            cluster.set_node(Arc::new(info));
            cluster.find("a").unwrap()
        };
        let id = set(&mut cluster, "cpu=1");
        let rejected = Rejected {
            node: id,
            plugin: 0,
            rejection: Rejection {
                code: Code::Unschedulable,
                reasons: 1,
            },
        };
        let mut classes = Classes::default();
        let class = classes.of(&shape(2));
        assert!(class.verdict(&cluster, id, || Err(rejected)).is_err());
        assert!(class.verdict(&cluster, id, || Ok(())).is_err(), "known");
        set(&mut cluster, "cpu=2");
        assert!(class.verdict(&cluster, id, || Ok(())).is_ok(), "asked anew");
        class.keep_score(id, 7);
        assert_eq!(class.score(id), Some(7));
        set(&mut cluster, "cpu=3");
        assert!(class.verdict(&cluster, id, || Ok(())).is_ok());
        assert_eq!(class.score(id), None, "the score was that of another state");
    }

    #[test]
    fn the_class_that_was_not_asked_for_longest_gives_way() {
        let shapes: Vec<_> = (0..=CLASSES_MAX as i64).map(shape).collect();
        let mut classes = Classes::default();
        for shape in &shapes[..CLASSES_MAX] {
            classes.of(shape);
        }
        classes.of(&shapes[0]);
        classes.of(&shapes[CLASSES_MAX]);
        let kept = |shape: &Arc<Shape>| {
            let mut recent = classes.recent.iter();
            recent.any(|class| Arc::ptr_eq(&class.shape, shape))
        };
        assert!(kept(&shapes[0]));
        assert!(!kept(&shapes[1]));
        assert_eq!(classes.recent.len(), CLASSES_MAX);
    }
}
