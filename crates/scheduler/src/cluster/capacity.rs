//! What nodes have and what their pods take, as columns of integers.

use rustc_hash::FxHashMap;

use super::NodeId;
use crate::node::NodeInfo;
use crate::pod::Shape;

/// A column has a number for each node.
type Numbers = Vec<i64>;

/// The columns that every node has.
#[derive(Debug, Default)]
pub struct Amounts {
    pub milli_cpu: Numbers,
    pub memory: Numbers,
    pub ephemeral_storage: Numbers,
    pub pods: Numbers,
}

/// The columns of one resource that few nodes have.
#[derive(Debug, Default)]
pub struct Scalar {
    pub allocatable: Numbers,
    pub requested: Numbers,
}

/// All columns.
#[derive(Debug, Default)]
pub struct Capacity {
    pub allocatable: Amounts,
    pub requested: Amounts,
    /// Requests with a default for containers that state none, for scores.
    pub nonzero_milli_cpu: Numbers,
    pub nonzero_memory: Numbers,
    scalars: Vec<Scalar>,
    by_name: FxHashMap<Box<str>, usize>,
}

impl Capacity {
    /// The place of a scalar resource's columns, for good.
    pub fn scalar_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The columns at a place.
    pub fn scalar_at(&self, index: usize) -> &Scalar {
        &self.scalars[index]
    }

    /// Takes over what a node has; `None` when the node is gone.
    pub(super) fn set(&mut self, id: NodeId, node: Option<&NodeInfo>) {
        self.grow(id);
        let at = id.index();
        let none = crate::resources::Resources::default();
        let amounts = node.map_or(&none, |node| &node.allocatable);
        self.allocatable.milli_cpu[at] = amounts.milli_cpu;
        self.allocatable.memory[at] = amounts.memory;
        self.allocatable.ephemeral_storage[at] = amounts.ephemeral_storage;
        self.allocatable.pods[at] = node.map_or(0, |node| node.allowed_pods);
        for scalar in &mut self.scalars {
            scalar.allocatable[at] = 0;
        }
        for (name, amount) in amounts.scalars.iter().filter(|(_, amount)| *amount != 0) {
            self.scalar_mut(name).allocatable[at] = *amount;
        }
    }

    /// A pod came (`sign` 1) or left (-1).
    pub(super) fn account(&mut self, id: NodeId, shape: &Shape, sign: i64) {
        self.grow(id);
        let at = id.index();
        let needs = &shape.resources;
        self.requested.milli_cpu[at] += sign * needs.requests.milli_cpu;
        self.requested.memory[at] += sign * needs.requests.memory;
        self.requested.ephemeral_storage[at] += sign * needs.requests.ephemeral_storage;
        self.requested.pods[at] += sign;
        self.nonzero_milli_cpu[at] += sign * needs.nonzero_milli_cpu;
        self.nonzero_memory[at] += sign * needs.nonzero_memory;
        for (name, amount) in &needs.requests.scalars {
            self.scalar_mut(name).requested[at] += sign * amount;
        }
    }

    fn scalar_mut(&mut self, name: &str) -> &mut Scalar {
        let at = match self.by_name.get(name) {
            Some(&at) => at,
            None => {
                let nodes = self.allocatable.pods.len();
                self.scalars.push(Scalar {
                    allocatable: vec![0; nodes],
                    requested: vec![0; nodes],
                });
                self.by_name.insert(name.into(), self.scalars.len() - 1);
                self.scalars.len() - 1
            }
        };
        &mut self.scalars[at]
    }

    fn grow(&mut self, id: NodeId) {
        let len = id.index() + 1;
        if len <= self.allocatable.pods.len() {
            return;
        }
        for amounts in [&mut self.allocatable, &mut self.requested] {
            amounts.milli_cpu.resize(len, 0);
            amounts.memory.resize(len, 0);
            amounts.ephemeral_storage.resize(len, 0);
            amounts.pods.resize(len, 0);
        }
        self.nonzero_milli_cpu.resize(len, 0);
        self.nonzero_memory.resize(len, 0);
        for scalar in &mut self.scalars {
            scalar.allocatable.resize(len, 0);
            scalar.requested.resize(len, 0);
        }
    }
}
