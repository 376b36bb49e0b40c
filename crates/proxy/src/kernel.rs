//! The ruleset in the kernel: one table, changed by transactions.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use linux::{
    conntrack::Conntrack,
    link::Links,
    netns::Netns,
    nft::{self, Batch, Element, Family, Nft, OwnedValue, Verdict},
};

use crate::{
    backend::{Backend, Error},
    encode::{Encoded, decode},
    entry::{Entry, Map, Shape},
    flush::Filter,
    layout::{AFFINITY, FRONTENDS, Layout, dispatch_name, shape_chain_name},
    model::{Facts, Protocol},
    plan::UdpFrontend,
    state::{Changes, Ruleset},
};

/// The kernel's packet filter, as far as it is one cluster's.
#[derive(Debug)]
pub struct Kernel {
    table: String,
    layout: Layout,
    ipv6: bool,
    nft: Nft,
    conntrack: Conntrack,
    links: Links,
    /// The shapes that have their chains. Those that no Service has any more
    /// stay for a while: it may have them again.
    shapes: BTreeSet<(Map, Shape)>,
    /// Hairpins that are no longer wanted but still there. A packet that was
    /// sent back to its own pod just before a change needs its hairpin just
    /// after it: without it the connection would be set up wrong for good.
    /// They go with the next change, or when it has been quiet for a while.
    retired: BTreeSet<Entry>,
}

/// The name of an instance's table.
fn table_name(instance: &str) -> String {
    format!("tiphys-{instance}")
}

/// Removes an instance's tables, whoever left them. Returns whether there was
/// anything.
pub fn remove(instance: &str, netns: &Netns) -> Result<bool, Error> {
    let table = table_name(instance);
    let failed = |source| Error::Filter {
        table: table.clone(),
        source,
    };
    let mut nft = netns.run(Nft::open)?.map_err(failed)?;
    let mut found = false;
    for family in [Family::Ipv4, Family::Ipv6] {
        if nft.table(family, &table).map_err(failed)?.is_some() {
            let mut batch = Batch::new(family);
            batch.delete_table(&table);
            nft.commit(batch).map_err(failed)?;
            found = true;
        }
    }
    Ok(found)
}

impl Kernel {
    /// Opens the kernel's doors in a network namespace. Nothing is changed.
    pub fn open(instance: &str, facts: &Facts, netns: &Netns) -> Result<Self, Error> {
        let table = table_name(instance);
        let failed = |source| Error::Filter {
            table: table.clone(),
            source,
        };
        let nft = netns.run(Nft::open)?.map_err(failed)?;
        let conntrack = netns.run(Conntrack::open)?.map_err(Error::Conntrack)?;
        let links = netns.run(Links::open)?.map_err(Error::Conntrack)?;
        Ok(Self {
            table,
            layout: Layout::new(facts.clone()),
            ipv6: facts.ipv6,
            nft,
            conntrack,
            links,
            shapes: BTreeSet::new(),
            retired: BTreeSet::new(),
        })
    }

    fn family(&self) -> Family {
        self.layout.family
    }

    fn failed(&self, source: nft::Error) -> Error {
        Error::Filter {
            table: self.table.clone(),
            source,
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<(), Error> {
        let result = self.nft.commit(batch);
        result.map_err(|source| self.failed(source))
    }

    fn read_ruleset(&mut self) -> Result<Option<Ruleset>, nft::Error> {
        let (family, table) = (self.layout.family, self.table.clone());
        let found = self.nft.table(family, &table)?;
        if found.is_none_or(|found| found.comment != self.layout.comment()) {
            return Ok(None);
        }
        if !self.sets_are_whole()? {
            return Ok(None);
        }
        let Some(shapes) = self.read_shapes()? else {
            return Ok(None);
        };
        let mut entries = BTreeMap::new();
        for map in Map::ALL {
            for element in self.nft.elements(family, &table, map.name())? {
                let Some(entry) = decode(map, &element, self.ipv6) else {
                    return Ok(None);
                };
                if !self.retired.contains(&entry) {
                    entries.insert((entry.map, entry.key), entry.value);
                }
            }
        }
        self.shapes = shapes;
        Ok(Some(Ruleset { entries }))
    }

    fn sets_are_whole(&mut self) -> Result<bool, nft::Error> {
        let found = self.nft.sets(self.layout.family, &self.table)?;
        let found: HashSet<String> = found.into_iter().map(|set| set.name).collect();
        let specs = self.layout.sets();
        Ok(specs.iter().all(|spec| found.contains(spec.name())))
    }

    /// The shapes whose chains and verdicts are there; none if the rules are
    /// not those that we make.
    fn read_shapes(&mut self) -> Result<Option<BTreeSet<(Map, Shape)>>, nft::Error> {
        let (family, table) = (self.layout.family, self.table.clone());
        let mut rules: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
        for rule in self.nft.rules(family, &table)? {
            let chain = rules.entry(rule.chain).or_default();
            chain.push((rule.comment, rule.exprs));
        }
        let mut is_whole = |chain: &crate::layout::Chain| {
            let wanted = chain.rules.iter();
            let wanted: Vec<_> = wanted
                .map(|(comment, exprs)| (comment.clone(), exprs.len()))
                .collect();
            rules.remove(&chain.name).unwrap_or_default() == wanted
        };
        if !self.layout.chains().iter().all(&mut is_whole) {
            return Ok(None);
        }
        let mut shapes = BTreeSet::new();
        for map in FRONTENDS {
            for element in self.nft.elements(family, &table, dispatch_name(map))? {
                let Ok(number) = <[u8; 4]>::try_from(&*element.key) else {
                    return Ok(None);
                };
                let shape = Shape::from_number(u32::from_ne_bytes(number));
                let chain = self.layout.shape_chain(map, shape);
                let verdict = Verdict::Goto(chain.name.clone().into());
                if element.value != OwnedValue::Verdict(verdict) || !is_whole(&chain) {
                    return Ok(None);
                }
                shapes.insert((map, shape));
            }
        }
        // What is left are rules that nobody here made.
        Ok(rules.is_empty().then_some(shapes))
    }

    /// Makes the chains of shapes that have none yet.
    fn add_shapes(&self, wanted: &BTreeSet<(Map, Shape)>, batch: &mut Batch) {
        for (map, shape) in wanted {
            self.layout
                .shape_chain(*map, *shape)
                .install(&self.table, batch);
            let key = shape.number().to_ne_bytes();
            let verdict = Verdict::Goto(shape_chain_name(*map, *shape).into());
            let element = Element::verdict(&key, &verdict);
            batch.add_elements(&self.table, dispatch_name(*map), [element]);
        }
    }

    fn write(&self, entries: &[Entry], add: bool, batch: &mut Batch) {
        for run in entries.chunk_by(|a, b| a.map == b.map) {
            let encoded: Vec<Encoded> = run.iter().map(Encoded::new).collect();
            let set = run[0].map.name();
            if add {
                batch.create_elements(&self.table, set, encoded.iter().map(Encoded::element));
            } else {
                batch.delete_elements(&self.table, set, encoded.iter().map(Encoded::bare));
            }
        }
    }

    /// How many clients are remembered, for tests and metrics.
    pub fn remembered(&mut self) -> Result<usize, Error> {
        let (family, table) = (self.family(), self.table.clone());
        let elements = self.nft.elements(family, &table, AFFINITY);
        Ok(elements.map_err(|source| self.failed(source))?.len())
    }
}

impl Backend for Kernel {
    fn read(&mut self) -> Result<Option<Ruleset>, Error> {
        let read = self.read_ruleset();
        read.map_err(|source| self.failed(source))
    }

    fn replace(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        let mut batch = Batch::new(self.family());
        // Removing needs it to be there.
        batch.add_table(&self.table, "");
        batch.delete_table(&self.table);
        self.layout
            .install(&self.table, &self.layout.comment(), &mut batch);
        let shapes = ruleset.shapes();
        self.add_shapes(&shapes, &mut batch);
        let entries: Vec<Entry> = ruleset.iter().collect();
        self.write(&entries, true, &mut batch);
        self.commit(batch)?;
        self.shapes = shapes;
        self.retired.clear();
        Ok(())
    }

    fn apply(&mut self, changes: &Changes) -> Result<(), Error> {
        let mut batch = Batch::new(self.family());
        let shapes: BTreeSet<(Map, Shape)> = changes
            .add
            .iter()
            .filter_map(|entry| entry.value.shape().map(|shape| (entry.map, shape)))
            .filter(|shape| !self.shapes.contains(shape))
            .collect();
        self.add_shapes(&shapes, &mut batch);
        let (retiring, remove): (Vec<Entry>, Vec<Entry>) = changes
            .remove
            .iter()
            .partition(|entry| entry.map == Map::Hairpins);
        let (back, add): (Vec<Entry>, Vec<Entry>) = changes
            .add
            .iter()
            .partition(|entry| self.retired.contains(entry));
        let gone: Vec<Entry> = self.retired.iter().copied().collect();
        let gone: Vec<Entry> = gone
            .into_iter()
            .filter(|entry| !back.contains(entry))
            .collect();
        self.write(&gone, false, &mut batch);
        self.write(&remove, false, &mut batch);
        self.write(&add, true, &mut batch);
        self.commit(batch)?;
        self.shapes.extend(shapes);
        self.retired = retiring.into_iter().collect();
        Ok(())
    }

    fn tidy(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        let wanted = ruleset.shapes();
        let unused: Vec<(Map, Shape)> = self.shapes.difference(&wanted).copied().collect();
        let retired: Vec<Entry> = self.retired.iter().copied().collect();
        if unused.is_empty() && retired.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(self.family());
        self.write(&retired, false, &mut batch);
        for (map, shape) in &unused {
            let key = shape.number().to_ne_bytes();
            batch.delete_elements(&self.table, dispatch_name(*map), [Element::key(&key)]);
            batch.delete_chain(&self.table, &shape_chain_name(*map, *shape));
        }
        self.commit(batch)?;
        self.shapes = wanted;
        self.retired.clear();
        Ok(())
    }

    fn generation(&mut self) -> Result<u32, Error> {
        let generation = self.nft.generation();
        generation.map_err(|source| self.failed(source))
    }

    fn forget(&mut self, frontends: &[UdpFrontend]) -> Result<usize, Error> {
        let filter = Filter::new(frontends);
        if filter.is_empty() {
            return Ok(0);
        }
        let addresses = self.links.addresses().map_err(Error::Conntrack)?;
        let own = addresses
            .into_iter()
            .map(|address| address.address)
            .collect();
        let flows = self.conntrack.flows(self.ipv6, Protocol::Udp.number());
        let flows = flows.map_err(Error::Conntrack)?;
        let mut count = 0;
        for flow in flows.iter().filter(|flow| filter.is_stale(flow, &own)) {
            self.conntrack.forget(flow).map_err(Error::Conntrack)?;
            count += 1;
        }
        Ok(count)
    }
}
