//! All owners' entries together: what the ruleset should be, and what changed
//! since it was last asked. A change of one owner costs what it changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map},
    sync::Arc,
};

use crate::{
    entry::{Entry, Key, Map, Shape, Value},
    model::{EndpointSlice, Facts, HostPort, Owner, Service},
    plan::{Groups, Plan, UdpFrontend, hash, plan_host_ports, plan_service},
};

/// A whole ruleset: what each key of each map maps to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The entries.
    pub entries: BTreeMap<(Map, Key), Value>,
}

/// What makes one ruleset of another. An entry whose value changes is both
/// removed and added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Entries to remove.
    pub remove: Vec<Entry>,
    /// Entries to add.
    pub add: Vec<Entry>,
    /// UDP frontends whose endpoints changed.
    pub udp: Vec<UdpFrontend>,
}

/// The ruleset that should be, kept up to date owner by owner.
#[derive(Debug)]
pub struct State {
    facts: Arc<Facts>,
    owners: HashMap<Owner, Plan>,
    slots: HashMap<(Map, Key), Slot>,
    groups: Numbers,
    /// What the keys that were touched since the last [`State::changes`]
    /// mapped to before.
    touched: HashMap<(Map, Key), Option<Value>>,
    udp: HashMap<crate::model::Frontend, UdpFrontend>,
}

/// Who claims a key; the first in order has it.
#[derive(Debug)]
enum Slot {
    One(Owner, Value),
    Many(BTreeMap<Owner, Value>),
}

/// The numbers of groups, by what is left of their names.
#[derive(Debug, Default)]
struct Numbers {
    names: HashMap<u32, u64>,
}

/// The ruleset of these Services and pods: [`State`] in one step.
pub fn ruleset<'a>(
    services: impl IntoIterator<Item = (Owner, &'a Service, &'a [EndpointSlice])>,
    facts: &Facts,
) -> Ruleset {
    let mut state = State::new(facts.clone());
    for (owner, service, slices) in services {
        state.set_service(owner, service, slices);
    }
    state.ruleset()
}

impl Ruleset {
    /// What makes `target` of this.
    pub fn changes_to(&self, target: &Self) -> Changes {
        let pick = |from: &Self, other: &Self| -> Vec<Entry> {
            from.entries
                .iter()
                .filter(|(key, value)| other.entries.get(key) != Some(value))
                .map(|((map, key), value)| Entry {
                    map: *map,
                    key: *key,
                    value: *value,
                })
                .collect()
        };
        Changes {
            remove: pick(self, target),
            add: pick(target, self),
            udp: Vec::new(),
        }
    }

    /// The shapes that its targets have.
    pub fn shapes(&self) -> BTreeSet<(Map, Shape)> {
        self.entries
            .iter()
            .filter_map(|((map, _), value)| value.shape().map(|shape| (*map, shape)))
            .collect()
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().map(|((map, key), value)| Entry {
            map: *map,
            key: *key,
            value: *value,
        })
    }
}

impl FromIterator<Entry> for Ruleset {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let entries = entries
            .into_iter()
            .map(|entry| ((entry.map, entry.key), entry.value))
            .collect();
        Self { entries }
    }
}

impl Value {
    /// The shape of a target that needs a chain.
    pub(crate) fn shape(self) -> Option<Shape> {
        match self {
            Self::Target { shape, .. } if shape.count() > 0 => Some(shape),
            _ => None,
        }
    }
}

impl Changes {
    /// Whether the ruleset is as it should be.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty() && self.udp.is_empty()
    }
}

impl State {
    /// Nothing yet.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts: Arc::new(facts),
            owners: HashMap::new(),
            slots: HashMap::new(),
            groups: Numbers::default(),
            touched: HashMap::new(),
            udp: HashMap::new(),
        }
    }

    /// Plans a Service anew.
    pub fn set_service(&mut self, owner: Owner, service: &Service, slices: &[EndpointSlice]) {
        let facts = self.facts.clone();
        let plan = plan_service(&owner, service, slices, &facts, &mut self.groups);
        self.set(owner, plan);
    }

    /// Plans the host ports of a pod anew.
    pub fn set_host_ports(&mut self, owner: Owner, ports: &[HostPort]) {
        let facts = self.facts.clone();
        let plan = plan_host_ports(&owner, ports, &facts, &mut self.groups);
        self.set(owner, plan);
    }

    /// Forgets an owner.
    pub fn remove(&mut self, owner: &Owner) {
        if let Some(plan) = self.owners.remove(owner) {
            self.replace(owner, &plan, &Plan::default());
        }
    }

    /// The owners that are known.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.owners.keys()
    }

    /// The whole ruleset.
    pub fn ruleset(&self) -> Ruleset {
        let entries = self
            .slots
            .iter()
            .map(|(key, slot)| (*key, slot.value()))
            .collect();
        Ruleset { entries }
    }

    /// What changed since the last call, in order.
    pub fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for ((map, key), before) in self.touched.drain() {
            let now = self.slots.get(&(map, key)).map(Slot::value);
            if now == before {
                continue;
            }
            let entry = |value| Entry { map, key, value };
            changes.remove.extend(before.map(entry));
            changes.add.extend(now.map(entry));
        }
        changes.remove.sort_unstable();
        changes.add.sort_unstable();
        changes.udp = self.udp.drain().map(|(_, frontend)| frontend).collect();
        changes.udp.sort_by_key(|udp| udp.frontend);
        changes
    }

    /// All UDP frontends, for when it is unknown what was applied.
    pub fn udp_frontends(&self) -> Vec<UdpFrontend> {
        let plans = self.owners.values();
        plans.flat_map(|plan| plan.udp.iter().cloned()).collect()
    }

    fn set(&mut self, owner: Owner, plan: Plan) {
        let old = self.owners.remove(&owner).unwrap_or_default();
        self.replace(&owner, &old, &plan);
        // An owner from which nothing follows is kept nonetheless: it is known.
        self.owners.insert(owner, plan);
    }

    fn replace(&mut self, owner: &Owner, old: &Plan, new: &Plan) {
        // Both are in order, so a merge finds the differences.
        let mut old_entries = old.entries.iter().peekable();
        let mut new_entries = new.entries.iter().peekable();
        loop {
            match (old_entries.peek(), new_entries.peek()) {
                (None, None) => break,
                (Some(a), Some(b)) if a == b => {
                    old_entries.next();
                    new_entries.next();
                }
                (Some(a), b) if b.is_none_or(|b| (a.map, a.key) < (b.map, b.key)) => {
                    self.unclaim(owner, a);
                    old_entries.next();
                }
                (a, Some(b)) => {
                    if a.is_some_and(|a| (a.map, a.key) == (b.map, b.key)) {
                        old_entries.next();
                    }
                    self.claim(owner, b);
                    new_entries.next();
                }
                (Some(_), None) => unreachable!("the second arm takes it"),
            }
        }
        for group in old
            .groups
            .iter()
            .filter(|group| !new.groups.contains(group))
        {
            self.groups.names.remove(group);
        }
        for frontend in new.udp.iter().filter(|udp| !old.udp.contains(udp)) {
            self.udp.insert(frontend.frontend, frontend.clone());
        }
    }

    fn claim(&mut self, owner: &Owner, entry: &Entry) {
        let key = (entry.map, entry.key);
        match self.slots.entry(key) {
            hash_map::Entry::Vacant(vacant) => {
                self.touched.entry(key).or_insert(None);
                vacant.insert(Slot::One(owner.clone(), entry.value));
            }
            hash_map::Entry::Occupied(mut occupied) => {
                let slot = occupied.get_mut();
                self.touched.entry(key).or_insert(Some(slot.value()));
                slot.insert(owner.clone(), entry.value);
            }
        }
    }

    fn unclaim(&mut self, owner: &Owner, entry: &Entry) {
        let key = (entry.map, entry.key);
        let hash_map::Entry::Occupied(mut occupied) = self.slots.entry(key) else {
            return;
        };
        self.touched
            .entry(key)
            .or_insert(Some(occupied.get().value()));
        if occupied.get_mut().remove(owner) {
            occupied.remove();
        }
    }
}

impl Slot {
    fn value(&self) -> Value {
        match self {
            Self::One(_, value) => *value,
            Self::Many(values) => values.values().next().copied().unwrap_or(Value::None),
        }
    }

    fn insert(&mut self, owner: Owner, value: Value) {
        match self {
            Self::One(only, old) if *only == owner => *old = value,
            Self::One(only, old) => {
                *self = Self::Many(BTreeMap::from([(only.clone(), *old), (owner, value)]));
            }
            Self::Many(values) => {
                values.insert(owner, value);
            }
        }
    }

    /// Returns whether nobody is left.
    fn remove(&mut self, owner: &Owner) -> bool {
        match self {
            Self::One(only, _) => only == owner,
            Self::Many(values) => {
                values.remove(owner);
                if values.len() == 1
                    && let Some((only, value)) = values.pop_first()
                {
                    *self = Self::One(only, value);
                }
                false
            }
        }
    }
}

impl Groups for Numbers {
    /// A hash of the name, so that a restarted proxy gives the same numbers
    /// and clients keep their endpoints; the next free one if it is taken.
    /// Zero is for frontends without a group.
    fn number(&mut self, name: &str) -> u32 {
        let full = hash64(name.as_bytes());
        let mut number = hash(name.as_bytes()).max(1);
        loop {
            match self.names.entry(number) {
                hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(full);
                    return number;
                }
                hash_map::Entry::Occupied(taken) if *taken.get() == full => return number,
                hash_map::Entry::Occupied(_) => number = number.wrapping_add(1).max(1),
            }
        }
    }
}

fn hash64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
