//! Topology as columns: for each label key that some constraint or term asks
//! about, the value of every node as a small number.
//!
//! A column is made when its key is first asked for and then kept true by node
//! events. Numbers of values that no node has any more are used again, so that
//! counts by value fit in a vector.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::NodeId;
use crate::node::NodeInfo;

/// More keys than any cluster has; beyond them the least used are forgotten.
const COLUMNS_MAX: usize = 256;

/// The number of a label's value in its column; [`Column::ABSENT`] for none.
pub type ValueId = u32;

/// The place of a column; stays valid during the cycle that asked for it.
pub type ColumnId = usize;

/// All columns, by label key.
#[derive(Debug, Default)]
pub struct Topology {
    columns: Vec<Column>,
    by_key: FxHashMap<Box<str>, ColumnId>,
    tick: u64,
}

/// The values of one label key.
#[derive(Debug, Default)]
pub struct Column {
    values: Vec<ValueId>,
    numbers: FxHashMap<Arc<str>, ValueId>,
    /// By number less one: the value and how many nodes have it.
    names: Vec<(Arc<str>, u32)>,
    free: Vec<ValueId>,
    last_used: u64,
}

impl Topology {
    /// A new cycle begins: what it asks for stays until the next one.
    pub fn begin_cycle(&mut self) {
        self.tick += 1;
    }

    /// The column of `key`, made if there is none.
    pub fn ensure<'a>(
        &mut self,
        key: &str,
        nodes: impl Iterator<Item = (NodeId, &'a NodeInfo)>,
    ) -> ColumnId {
        if let Some(&id) = self.by_key.get(key) {
            self.columns[id].last_used = self.tick;
            return id;
        }
        let mut column = Column {
            last_used: self.tick,
            ..Column::default()
        };
        for (id, node) in nodes {
            column.set(id, node.label(key));
        }
        let id = self.place();
        self.columns[id] = column;
        self.by_key.insert(key.into(), id);
        id
    }

    /// A column that was asked for in this cycle.
    pub fn column(&self, id: ColumnId) -> &Column {
        &self.columns[id]
    }

    /// Takes over a node's labels; `None` when the node is gone.
    pub fn set(&mut self, id: NodeId, node: Option<&NodeInfo>) {
        for (key, &column) in &self.by_key {
            self.columns[column].set(id, node.and_then(|node| node.label(key)));
        }
    }

    /// A place for one more column, taken from the least used one if there are
    /// too many that this cycle does not need.
    fn place(&mut self) -> ColumnId {
        if self.columns.len() >= COLUMNS_MAX {
            let ids = self
                .by_key
                .iter()
                .map(|(key, &id)| (self.columns[id].last_used, key));
            let oldest = ids.filter(|(used, _)| *used < self.tick).min();
            if let Some((_, key)) = oldest {
                let key = key.clone();
                if let Some(id) = self.by_key.remove(&key) {
                    return id;
                }
            }
        }
        self.columns.push(Column::default());
        self.columns.len() - 1
    }
}

impl Column {
    /// The number of a node without the label.
    pub const ABSENT: ValueId = 0;

    /// The value of a node.
    pub fn value(&self, node: NodeId) -> ValueId {
        self.values
            .get(node.index())
            .copied()
            .unwrap_or(Self::ABSENT)
    }

    /// One more than the largest number in use.
    pub fn bound(&self) -> usize {
        self.names.len() + 1
    }

    fn set(&mut self, node: NodeId, value: Option<&str>) {
        if node.index() >= self.values.len() {
            self.values.resize(node.index() + 1, Self::ABSENT);
        }
        let old = self.values[node.index()];
        if old != Self::ABSENT {
            let (name, users) = &mut self.names[old as usize - 1];
            if value == Some(name) {
                return;
            }
            *users -= 1;
            if *users == 0 {
                self.numbers.remove(name);
                self.free.push(old);
            }
        }
        self.values[node.index()] = value.map_or(Self::ABSENT, |value| self.number(value));
    }

    fn number(&mut self, value: &str) -> ValueId {
        if let Some(&number) = self.numbers.get(value) {
            self.names[number as usize - 1].1 += 1;
            return number;
        }
        let name: Arc<str> = value.into();
        let entry = (Arc::clone(&name), 1);
        let number = match self.free.pop() {
            Some(number) => {
                self.names[number as usize - 1] = entry;
                number
            }
            None => {
                self.names.push(entry);
                self.names.len() as ValueId
            }
        };
        self.numbers.insert(name, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_values_that_are_gone_are_used_again() {
        let mut column = Column::default();
        let nodes: Vec<NodeId> = (0..3).map(NodeId).collect();
        column.set(nodes[0], Some("a"));
        column.set(nodes[1], Some("b"));
        column.set(nodes[2], Some("a"));
        assert_eq!(column.value(nodes[0]), column.value(nodes[2]));
        assert_eq!(column.bound(), 3);
        column.set(nodes[1], None);
        assert_eq!(column.value(nodes[1]), Column::ABSENT);
        column.set(nodes[1], Some("c"));
        assert_eq!(column.bound(), 3);
        assert_ne!(column.value(nodes[1]), column.value(nodes[0]));
    }
}
