//! A disk in memory that misbehaves under a seed.
//!
//! It keeps apart what a reader sees (the page cache) and what would survive
//! a power cut. A cut lets any part of what was not synced reach the disk,
//! sector by sector, and any beginning of the unsynced changes of names.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use stdx::{Clock, Rng};

use super::{Disk, File, Lock, LockError};

const SECTOR: usize = 512;

/// What goes wrong, as probabilities per operation.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A write fails with EIO, having written any part of its data.
    pub write_error: f64,
    /// A sync fails with EIO, and any part of what it should have synced is
    /// on the disk.
    pub sync_error: f64,
    /// A read fails with EIO.
    pub read_error: f64,
    /// An operation takes up to `slow_max`.
    pub slow: f64,
    /// The longest that a slow operation takes.
    pub slow_max: Duration,
    /// The bytes that all files may have together.
    pub capacity: Option<u64>,
}

/// A directory in memory. Clones are the same directory.
#[derive(Clone)]
pub struct SimulatedDisk {
    inner: Arc<Inner>,
    /// The boot during which this handle works; none for all.
    boot: Option<u64>,
}

struct Inner {
    clock: Clock,
    rng: Rng,
    /// Whether the difference between written and durable is kept.
    faulty: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Grows with each crash; files opened before it are dead.
    boot: u64,
    next_inode: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
    faults: Faults,
    cut_after: Option<u64>,
    operations: u64,
    locked: Option<u64>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

enum Unsynced {
    Write { offset: usize, data: Vec<u8> },
    Len(usize),
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: u64,
    boot: u64,
}

struct SimulatedLock {
    disk: SimulatedDisk,
    boot: u64,
}

impl SimulatedDisk {
    /// An empty disk on which things can go wrong.
    pub fn new(clock: Clock, rng: Rng) -> Self {
        Self::with(clock, rng, true)
    }

    /// An empty disk that always works and whose power is never cut.
    pub fn reliable(clock: Clock, rng: Rng) -> Self {
        Self::with(clock, rng, false)
    }

    /// The directory for one process: dead after the next crash, however
    /// long tasks of the process go on.
    #[must_use]
    pub fn process(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            boot: Some(self.state().boot),
        }
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Cuts the power: what was not synced may be lost, files that are open
    /// are dead. The disk can be used again at once.
    pub fn cut_power(&self) {
        let mut state = self.state();
        self.inner.cut_power(&mut state);
    }

    /// Cuts the power by itself in the middle of the given number of
    /// operations from now.
    pub fn cut_power_after(&self, operations: u64) {
        let mut state = self.state();
        state.cut_after = Some(state.operations + operations);
    }

    /// Takes back a cut that has not come yet.
    pub fn keep_power(&self) {
        self.state().cut_after = None;
    }

    /// Whether the power was cut since the disk was made, and how often.
    pub fn boots(&self) -> u64 {
        self.state().boot
    }

    /// Ends the process that uses the disk, as kill -9 does: files that are
    /// open are dead, what was written is still seen.
    pub fn kill(&self) {
        let mut state = self.state();
        state.boot += 1;
        state.locked = None;
        state.cut_after = None;
    }

    /// Changes one bit of a file, on the disk and as it is seen.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        let mut state = self.state();
        let Some(inode) = state.names.get(name).copied() else {
            return;
        };
        if let Some(inode) = state.inodes.get_mut(&inode) {
            let (offset, mask) = (offset as usize, 1 << (bit % 8));
            for content in [&mut inode.seen, &mut inode.durable] {
                if let Some(byte) = content.get_mut(offset) {
                    *byte ^= mask;
                }
            }
        }
    }

    /// What a file looks like.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.inodes.get(state.names.get(name)?)?;
        Some(inode.seen.clone())
    }

    /// The names and lengths of all files.
    pub fn files(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let len = |inode| state.inodes.get(inode).map_or(0, |inode| inode.seen.len());
        let named = state.names.iter();
        named
            .map(|(name, inode)| (name.clone(), len(inode) as u64))
            .collect()
    }

    fn with(clock: Clock, rng: Rng, faulty: bool) -> Self {
        let state = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                clock,
                rng,
                faulty,
                state,
            }),
            boot: None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What every operation begins with: delay, power cut, dead handle.
    async fn begin(&self, boot: Option<u64>) -> io::Result<MutexGuard<'_, State>> {
        if self.inner.faulty {
            let delay = self.delay();
            if let Some(delay) = delay {
                self.inner.clock.sleep(delay).await;
            } else if self.inner.rng.chance(0.5) {
                tokio::task::yield_now().await;
            }
        }
        let mut state = self.state();
        if boot.is_some_and(|boot| boot != state.boot) {
            return Err(io::Error::other("the simulated power is cut"));
        }
        state.operations += 1;
        Ok(state)
    }

    fn delay(&self) -> Option<Duration> {
        let (slow, max) = {
            let state = self.state();
            (state.faults.slow, state.faults.slow_max)
        };
        let unlucky = slow > 0.0 && self.inner.rng.chance(slow);
        unlucky.then(|| max.mul_f64(self.inner.rng.unit()))
    }

    async fn change_names(&self, change: NameChange) -> io::Result<()> {
        let mut state = self.begin(self.boot).await?;
        apply_name(&mut state.names, &change);
        if self.inner.faulty {
            state.unsynced_names.push(change);
        } else {
            state.forget_unnamed();
        }
        self.inner.maybe_cut(&mut state)
    }
}

impl Inner {
    fn cut_power(&self, state: &mut State) {
        let kept = self.rng.below(state.unsynced_names.len() as u64 + 1) as usize;
        let changes = std::mem::take(&mut state.unsynced_names);
        for change in &changes[..kept] {
            apply_name(&mut state.durable_names, change);
        }
        state.names = state.durable_names.clone();
        for inode in state.inodes.values_mut() {
            self.settle_some(inode);
            inode.seen = inode.durable.clone();
        }
        state.forget_unnamed();
        state.boot += 1;
        state.locked = None;
        state.cut_after = None;
    }

    /// Cuts the power if its time has come, in which case the operation that
    /// is being done does not return successfully.
    fn maybe_cut(&self, state: &mut State) -> io::Result<()> {
        if state.cut_after.is_some_and(|at| state.operations >= at) {
            self.cut_power(state);
            return Err(io::Error::other("the simulated power is cut"));
        }
        Ok(())
    }

    /// Lets any part of the unsynced writes reach the disk.
    fn settle_some(&self, inode: &mut Inode) {
        let mood = self.rng.below(4);
        for write in std::mem::take(&mut inode.unsynced) {
            match write {
                _ if mood == 0 => {}
                write if mood == 1 => settle(&mut inode.durable, write),
                Unsynced::Len(len) => {
                    if self.rng.chance(0.5) {
                        settle(&mut inode.durable, Unsynced::Len(len));
                    }
                }
                Unsynced::Write { offset, data } => self.tear(inode, offset, &data),
            }
        }
    }

    fn tear(&self, inode: &mut Inode, offset: usize, data: &[u8]) {
        let mut begin = 0;
        while begin < data.len() {
            let sector_end = (offset + begin) / SECTOR * SECTOR + SECTOR;
            let end = (sector_end - offset).min(data.len());
            if self.rng.chance(0.5) {
                let data = data[begin..end].to_vec();
                let offset = offset + begin;
                settle(&mut inode.durable, Unsynced::Write { offset, data });
            }
            begin = end;
        }
    }
}

impl State {
    fn forget_unnamed(&mut self) {
        let named: std::collections::BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes
            .get_mut(&inode)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn has_room_for(&self, more: usize) -> bool {
        let used: usize = self.inodes.values().map(|inode| inode.seen.len()).sum();
        self.faults
            .capacity
            .is_none_or(|capacity| (used + more) as u64 <= capacity)
    }
}

#[async_trait]
impl Disk for SimulatedDisk {
    async fn lock(&self) -> Result<Lock, LockError> {
        let mut state = self.begin(self.boot).await?;
        if state.locked.is_some() {
            let holder = "another simulated process".to_owned();
            return Err(LockError::Held { holder });
        }
        let boot = state.boot;
        state.locked = Some(boot);
        let disk = self.clone();
        Ok(Box::new(SimulatedLock { disk, boot }))
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.begin(self.boot).await?.names.keys().cloned().collect())
    }

    async fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        let mut state = self.begin(self.boot).await?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.next_inode;
        state.next_inode += 1;
        let has_room = state.has_room_for(len as usize);
        let mut inode = Inode::default();
        if has_room {
            inode.seen.resize(len as usize, 0);
        }
        if self.inner.faulty {
            inode.unsynced.push(Unsynced::Len(inode.seen.len()));
            let add = NameChange::Add(name.to_owned(), id);
            state.unsynced_names.push(add);
        }
        state.inodes.insert(id, inode);
        state.names.insert(name.to_owned(), id);
        self.inner.maybe_cut(&mut state)?;
        if !has_room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let boot = state.boot;
        let (disk, inode) = (self.clone(), id);
        Ok(Arc::new(SimulatedFile { disk, inode, boot }))
    }

    async fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let state = self.begin(self.boot).await?;
        let inode = *state
            .names
            .get(name)
            .ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let boot = state.boot;
        let disk = self.clone();
        Ok(Arc::new(SimulatedFile { disk, inode, boot }))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change_names(NameChange::Rename(from.to_owned(), to.to_owned()))
            .await
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.change_names(NameChange::Remove(name.to_owned())).await
    }

    async fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.begin(self.boot).await?;
        self.inner.maybe_cut(&mut state)?;
        let state = &mut *state;
        for change in state.unsynced_names.drain(..) {
            apply_name(&mut state.durable_names, &change);
        }
        state.forget_unnamed();
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }

    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

#[async_trait]
impl File for SimulatedFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut state = self.disk.begin(Some(self.boot)).await?;
        let failing = state.faults.read_error;
        if self.disk.inner.rng.chance(failing) {
            return Err(io::Error::other("simulated EIO on read"));
        }
        let seen = &state.inode(self.inode)?.seen;
        let begin = (offset as usize).min(seen.len());
        let end = (begin + len).min(seen.len());
        Ok(Bytes::copy_from_slice(&seen[begin..end]))
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.begin(Some(self.boot)).await?;
        let faulty = self.disk.inner.faulty;
        let fails = self.disk.inner.rng.chance(state.faults.write_error);
        let offset = offset as usize;
        let grows = (offset + data.len()).saturating_sub(state.inode(self.inode)?.seen.len());
        if grows > 0 && !state.has_room_for(grows) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = if fails {
            self.disk.inner.rng.below(data.len() as u64 + 1) as usize
        } else {
            data.len()
        };
        let inode = state.inode(self.inode)?;
        let data = data[..written].to_vec();
        if faulty {
            let data = data.clone();
            inode.unsynced.push(Unsynced::Write { offset, data });
        }
        settle(&mut inode.seen, Unsynced::Write { offset, data });
        self.disk.inner.maybe_cut(&mut state)?;
        if fails {
            return Err(io::Error::other("simulated EIO on write"));
        }
        Ok(())
    }

    async fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.begin(Some(self.boot)).await?;
        self.disk.inner.maybe_cut(&mut state)?;
        let fails = self.disk.inner.rng.chance(state.faults.sync_error);
        let inode = state.inode(self.inode)?;
        if fails {
            // As Linux does: the pages count as clean from now on.
            self.disk.inner.settle_some(inode);
            return Err(io::Error::other("simulated EIO on sync"));
        }
        let Inode {
            durable, unsynced, ..
        } = inode;
        for write in unsynced.drain(..) {
            settle(durable, write);
        }
        Ok(())
    }

    async fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.begin(Some(self.boot)).await?;
        Ok(state.inode(self.inode)?.seen.len() as u64)
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.begin(Some(self.boot)).await?;
        let faulty = self.disk.inner.faulty;
        let inode = state.inode(self.inode)?;
        if faulty {
            inode.unsynced.push(Unsynced::Len(len as usize));
        }
        settle(&mut inode.seen, Unsynced::Len(len as usize));
        self.disk.inner.maybe_cut(&mut state)
    }
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.locked == Some(self.boot) {
            state.locked = None;
        }
    }
}

fn apply_name(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Add(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Remove(name) => {
            names.remove(name);
        }
    }
}

fn settle(content: &mut Vec<u8>, write: Unsynced) {
    match write {
        Unsynced::Len(len) => content.resize(len, 0),
        Unsynced::Write { offset, data } => {
            let end = offset + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[offset..end].copy_from_slice(&data);
        }
    }
}
