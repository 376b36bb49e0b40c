//! Which ranges of pod addresses are taken, and by which node. A change of one
//! node costs the same however many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is taken of the pools, and by whom.
#[derive(Debug)]
pub(super) struct Book {
    pools: Vec<Pool>,
    /// By the node's name.
    held: BTreeMap<String, Held>,
    /// Nodes for which there was nothing.
    waiting: BTreeSet<String>,
    /// Something was given back since they were called last.
    is_free: bool,
}

#[derive(Debug)]
struct Held {
    uid: String,
    ranges: Vec<Range>,
}

impl Book {
    /// Nobody has anything, and what is reserved can be given to nobody.
    pub(super) fn new(mut pools: Vec<Pool>, reserved: &[Range]) -> Self {
        for pool in &mut pools {
            reserved.iter().for_each(|range| pool.take(range));
        }
        Self {
            pools,
            held: BTreeMap::new(),
            waiting: BTreeSet::new(),
            is_free: false,
        }
    }

    /// Notes what a node says that it has. One that says nothing may have been
    /// promised something.
    pub(super) fn shows(&mut self, name: &str, uid: &str, ranges: Vec<Range>) {
        let known = self.held.get(name);
        let is_known = known.is_some_and(|held| match ranges.is_empty() {
            true => held.uid == uid,
            false => held.ranges == ranges,
        });
        if !is_known {
            self.forget(name);
            self.hold(name, uid, ranges);
        }
    }

    /// Gives back what a node had.
    pub(super) fn forget(&mut self, name: &str) {
        self.waiting.remove(name);
        for range in self.held.remove(name).into_iter().flat_map(|h| h.ranges) {
            self.pools.iter_mut().for_each(|pool| pool.give(&range));
            self.is_free = true;
        }
    }

    /// Those who wait, once something is free. They are to ask again.
    pub(super) fn called(&mut self) -> BTreeSet<String> {
        match std::mem::take(&mut self.is_free) {
            true => std::mem::take(&mut self.waiting),
            false => BTreeSet::new(),
        }
    }

    /// What a node has, or from now on the first free range of each pool; none
    /// while one of them has none, and the node then waits.
    pub(super) fn promise(&mut self, name: &str, uid: &str) -> Option<Vec<Range>> {
        if let Some(held) = self.held.get(name).filter(|held| held.uid == uid) {
            return Some(held.ranges.clone());
        }
        let free = self.pools.iter_mut().map(Pool::first_free);
        let Some(ranges) = free.collect::<Option<Vec<_>>>() else {
            self.waiting.insert(name.to_owned());
            return None;
        };
        self.forget(name);
        self.hold(name, uid, ranges.clone());
        Some(ranges)
    }

    fn hold(&mut self, name: &str, uid: &str, ranges: Vec<Range>) {
        if ranges.is_empty() {
            return;
        }
        for range in &ranges {
            self.pools.iter_mut().for_each(|pool| pool.take(range));
        }
        let uid = uid.to_owned();
        self.held.insert(name.to_owned(), Held { uid, ranges });
    }
}

/// A range that is cut into cells, of which each node gets one.
#[derive(Debug)]
pub(super) struct Pool {
    range: Range,
    /// The prefix of a cell.
    size: u8,
    /// The first and last cell of what is taken, and how often it is: nodes
    /// may say what they like.
    taken: BTreeMap<(u128, u128), usize>,
    /// All cells below this one are taken.
    full_below: u128,
}

impl Pool {
    /// Nothing of a range is taken.
    pub(super) fn new(range: Range, size: u8) -> Self {
        Self {
            range,
            size,
            taken: BTreeMap::new(),
            full_below: 0,
        }
    }

    /// How many bits of an address tell the cell.
    fn cell_bits(&self) -> Option<u32> {
        self.size.checked_sub(self.range.prefix).map(u32::from)
    }

    /// The cells that a range lies in.
    fn cells(&self, range: &Range) -> Option<(u128, u128)> {
        if !self.range.overlaps(range) {
            return None;
        }
        let host = u32::from(self.range.bits().checked_sub(self.size)?);
        let cell = |address: u128| (address - self.range.start).checked_shr(host).unwrap_or(0);
        let first = range.start.max(self.range.start);
        let last = range.last().min(self.range.last());
        Some((cell(first), cell(last)))
    }

    fn take(&mut self, range: &Range) {
        let Some(cells) = self.cells(range) else {
            return;
        };
        *self.taken.entry(cells).or_default() += 1;
        if cells.0 <= self.full_below {
            self.full_below = self.full_below.max(cells.1.saturating_add(1));
        }
    }

    fn give(&mut self, range: &Range) {
        let Some(cells) = self.cells(range) else {
            return;
        };
        let Some(times) = self.taken.get_mut(&cells) else {
            return;
        };
        *times -= 1;
        if *times == 0 {
            self.taken.remove(&cells);
            // A longer range may lie around it, so all are looked at again.
            self.full_below = 0;
        }
    }

    fn first_free(&mut self) -> Option<Range> {
        let mut cell = self.full_below;
        for (first, last) in self.taken.range((cell, 0)..).map(|(cells, _)| *cells) {
            if first > cell {
                break;
            }
            cell = cell.max(last.saturating_add(1));
        }
        self.full_below = cell;
        let host = u32::from(self.range.bits().checked_sub(self.size)?);
        let is_one = cell < 1u128.checked_shl(self.cell_bits()?)?;
        is_one.then(|| Range {
            start: self.range.start + cell.checked_shl(host).unwrap_or(0),
            prefix: self.size,
            v6: self.range.v6,
        })
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    v6: bool,
    start: u128,
    prefix: u8,
}

impl Range {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let prefix: u8 = prefix.parse().ok()?;
        let (v6, number) = match address.parse().ok()? {
            IpAddr::V4(address) => (false, u128::from(address.to_bits())),
            IpAddr::V6(address) => (true, address.to_bits()),
        };
        let range = Self {
            v6,
            start: number,
            prefix,
        };
        let host = u32::from(range.bits().checked_sub(prefix)?);
        let start = number
            .checked_shr(host)
            .unwrap_or(0)
            .checked_shl(host)
            .unwrap_or(0);
        Some(Self { start, ..range })
    }

    pub(super) fn is_v4(&self) -> bool {
        !self.v6
    }

    fn bits(&self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }

    /// The last address.
    fn last(&self) -> u128 {
        let host = u32::from(self.bits() - self.prefix);
        let addresses = 1u128.checked_shl(host).unwrap_or(0).wrapping_sub(1);
        self.start | addresses
    }

    fn overlaps(&self, other: &Self) -> bool {
        let host = u32::from(self.bits() - self.prefix.min(other.prefix));
        self.v6 == other.v6
            && self.start.checked_shr(host).unwrap_or(0)
                == other.start.checked_shr(host).unwrap_or(0)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = if self.v6 {
            IpAddr::V6(self.start.into())
        } else {
            // The upper bits of an IPv4 address are zero by construction.
            IpAddr::V4((self.start as u32).into())
        };
        write!(formatter, "{address}/{}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        Range::parse(text).expect("a range")
    }

    #[test]
    fn ranges() {
        assert_eq!(range("10.42.3.7/16").to_string(), "10.42.0.0/16");
        assert_eq!(
            range("fd00::1:0:0:5/64").to_string(),
            "fd00:0:0:0::/64"
                .parse::<String>()
                .map(|_| "fd00::/64")
                .unwrap()
        );
        assert!(range("10.42.0.0/16").overlaps(&range("10.42.255.0/24")));
        assert!(!range("10.42.0.0/24").overlaps(&range("10.42.1.0/24")));
        assert!(range("0.0.0.0/0").overlaps(&range("10.42.1.0/24")));
        assert_eq!(Range::parse("10.42.0.0/33"), None);
        assert_eq!(Range::parse("10.42.0.0"), None);
    }

    fn book(pools: &[(&str, u8)], reserved: &[&str]) -> Book {
        let pools = pools.iter();
        let pools = pools.map(|(text, size)| Pool::new(range(text), *size));
        let reserved: Vec<_> = reserved.iter().map(|text| range(text)).collect();
        Book::new(pools.collect(), &reserved)
    }

    fn promised(book: &mut Book, name: &str) -> String {
        let ranges = book.promise(name, name);
        let texts = ranges.iter().flatten().map(Range::to_string);
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_free_range_is_given() {
        let mut book = book(&[("10.42.0.0/22", 24)], &["10.42.1.0/25"]);
        assert_eq!(promised(&mut book, "a"), "10.42.0.0/24");
        assert_eq!(promised(&mut book, "b"), "10.42.2.0/24");
        assert_eq!(promised(&mut book, "a"), "10.42.0.0/24");
        assert_eq!(promised(&mut book, "c"), "10.42.3.0/24");
        assert_eq!(promised(&mut book, "d"), "");
        assert!(book.called().is_empty());
        book.forget("b");
        assert_eq!(book.called().into_iter().collect::<Vec<_>>(), ["d"]);
        assert_eq!(promised(&mut book, "d"), "10.42.2.0/24");
        // The same name, another node.
        book.shows("a", "other", Vec::new());
        assert_eq!(promised(&mut book, "e"), "10.42.0.0/24");
    }

    #[test]
    fn what_nodes_say_counts() {
        let mut book = book(&[("10.42.0.0/22", 24)], &[]);
        book.shows("a", "a", vec![range("10.42.0.0/23")]);
        book.shows("b", "b", vec![range("10.42.1.0/24"), range("192.0.2.0/24")]);
        book.shows("c", "c", vec![range("10.42.1.0/24")]);
        assert_eq!(promised(&mut book, "d"), "10.42.2.0/24");
        // Others still lie in the way.
        book.forget("b");
        assert_eq!(promised(&mut book, "e"), "10.42.3.0/24");
        book.forget("c");
        assert_eq!(promised(&mut book, "f"), "");
        book.shows("a", "a", vec![range("10.42.1.128/25")]);
        assert_eq!(promised(&mut book, "f"), "10.42.0.0/24");
    }

    #[test]
    fn a_promise_stands_until_it_is_shown() {
        let mut book = book(&[("10.42.0.0/23", 24), ("fd00::/63", 64)], &[]);
        assert_eq!(promised(&mut book, "a"), "10.42.0.0/24 fd00::/64");
        book.shows("a", "a", Vec::new());
        let ranges = vec![range("10.42.0.0/24"), range("fd00::/64")];
        book.shows("a", "a", ranges);
        assert_eq!(promised(&mut book, "b"), "10.42.1.0/24 fd00:0:0:1::/64");
        assert_eq!(promised(&mut book, "c"), "");
    }

    #[test]
    fn pools_of_all_sizes() {
        for (pool, size, expected) in [
            ("10.42.0.0/24", 16, ""),
            ("10.42.0.0/24", 24, "10.42.0.0/24"),
            ("10.42.0.0/32", 32, "10.42.0.0/32"),
            ("0.0.0.0/0", 0, "0.0.0.0/0"),
            ("::/0", 128, ""),
            ("::/0", 127, "::/127"),
        ] {
            let mut book = book(&[(pool, size)], &[]);
            assert_eq!(promised(&mut book, "a"), expected, "{pool} {size}");
        }
    }
}
