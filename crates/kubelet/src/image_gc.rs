//! Images that nobody uses go when the disk fills up, or when they are old.
//!
//! Follows pkg/kubelet/images/image_gc_manager.go: above the high threshold
//! the images that were unused for longest go until the low one is reached;
//! an image is spared for a while after it was first seen.

use std::collections::HashMap;
use std::time::Duration;

use stdx::Instant;

use crate::context::Context;
use crate::doors::{Disk, Kind, StoredImage};
use crate::events::node_reference;

/// How often the kubelet looks.
const PERIOD: Duration = Duration::from_secs(300);

/// When images go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Percent of the disk in use above which images go.
    pub high_percent: u64,
    /// Percent of the disk in use at which enough have gone.
    pub low_percent: u64,
    /// For how long an image is spared after it was first seen.
    pub min_age: Duration,
    /// How long an image may be unused at all; without end if absent.
    pub max_age: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            high_percent: 85,
            low_percent: 80,
            min_age: Duration::from_secs(120),
            max_age: None,
        }
    }
}

/// What is remembered of an image.
#[derive(Clone, Copy, Debug)]
struct Record {
    detected: Instant,
    used: Option<Instant>,
}

/// Knows since when images are here and when they were used last. An image
/// that is here when it begins counts as seen long ago, as upstream has it.
#[derive(Debug, Default)]
pub struct Collector {
    records: HashMap<String, Record>,
    began: Option<Instant>,
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Images that go whatever they take, by ID.
    pub aged: Vec<String>,
    /// Images that may go after those, in this order, with what they take.
    pub candidates: Vec<(String, u64)>,
    /// Bytes that have to be freed.
    pub wanted: u64,
}

impl Collector {
    /// Notes what is there and in use.
    fn detect(&mut self, images: &[StoredImage], now: Instant) {
        let first = self.began.map_or(Instant::ORIGIN, |_| now);
        self.began.get_or_insert(now);
        self.records
            .retain(|id, _| images.iter().any(|image| image.id == *id));
        for image in images {
            let record = self.records.entry(image.id.clone()).or_insert(Record {
                detected: first,
                used: None,
            });
            if image.in_use {
                record.used = Some(now);
            }
        }
    }

    /// Decides.
    pub fn plan(
        &mut self,
        policy: Policy,
        images: &[StoredImage],
        disk: Option<Disk>,
        now: Instant,
    ) -> Plan {
        self.detect(images, now);
        let mut free: Vec<(Instant, Instant, &StoredImage)> = Vec::new();
        for image in images.iter().filter(|image| !image.in_use && !image.pinned) {
            if let Some(record) = self.records.get(&image.id) {
                let used = record.used.unwrap_or(Instant::ORIGIN);
                free.push((used, record.detected, image));
            }
        }
        free.sort_by(|a, b| (a.0, a.1, &a.2.id).cmp(&(b.0, b.1, &b.2.id)));
        let mut plan = Plan {
            wanted: disk.map_or(0, |disk| wanted(policy, disk)),
            ..Plan::default()
        };
        for (used, detected, image) in free {
            // An image that was here at the start is as old as that.
            let unused_since = used.max(detected).max(self.began.unwrap_or(now));
            let is_old = |age| now - unused_since > age;
            if policy.max_age.is_some_and(is_old) {
                plan.aged.push(image.id.clone());
            } else if used < now && now - detected >= policy.min_age {
                plan.candidates.push((image.id.clone(), image.size));
            }
        }
        plan
    }
}

/// Bytes to free, given how full the disk is.
fn wanted(policy: Policy, disk: Disk) -> u64 {
    if disk.capacity_bytes == 0 {
        return 0;
    }
    let available = disk.available_bytes.min(disk.capacity_bytes);
    let used = 100 - available * 100 / disk.capacity_bytes;
    if used < policy.high_percent {
        return 0;
    }
    let target = disk.capacity_bytes / 100 * (100 - policy.low_percent);
    target.saturating_sub(available)
}

/// Runs until it is dropped.
pub async fn run(cx: &Context) {
    loop {
        collect(cx).await;
        cx.clock.sleep(PERIOD).await;
    }
}

/// Removes all images that nobody uses and that may go, before pods have to.
///
/// Follows DeleteUnusedImages of the same file.
pub async fn remove_unused(cx: &Context) {
    let mut collector = cx.collector.lock().await;
    let images = cx.images.stored().await;
    let plan = collector.plan(cx.config.image_gc, &images, None, cx.clock.now());
    let candidates = plan.candidates.iter().map(|(id, _)| id);
    for id in plan.aged.iter().chain(candidates) {
        remove(cx, id).await;
    }
}

async fn collect(cx: &Context) {
    let mut collector = cx.collector.lock().await;
    let images = cx.images.stored().await;
    let disk = match cx.machine.disk(&cx.config.image_root) {
        Ok(disk) => Some(disk),
        Err(error) => {
            tracing::warn!(%error, "cannot look at the disk of images");
            None
        }
    };
    if let Err(error) = cx.images.tidy() {
        tracing::warn!(error, "cannot forget who pulled images that are gone");
    }
    let now = cx.clock.now();
    let plan = collector.plan(cx.config.image_gc, &images, disk, now);
    for id in &plan.aged {
        remove(cx, id).await;
    }
    if plan.wanted == 0 {
        return;
    }
    tracing::info!(bytes = plan.wanted, "the disk is full: unused images go");
    let mut freed = 0;
    for (id, size) in &plan.candidates {
        if freed >= plan.wanted {
            return;
        }
        if remove(cx, id).await {
            freed += size;
        }
    }
    if freed < plan.wanted {
        let text = format!(
            "Failed to garbage collect required amount of images. Attempted to free {} bytes, but only found {freed} bytes eligible to free.",
            plan.wanted
        );
        let node = node_reference(&cx.config.node_name);
        cx.events
            .event(&node, Kind::Warning, "FreeDiskSpaceFailed", text);
    }
}

async fn remove(cx: &Context, id: &str) -> bool {
    match cx.images.remove(id).await {
        Ok(()) => {
            tracing::info!(id, "removed an unused image");
            true
        }
        Err(error) => {
            tracing::warn!(id, error, "cannot remove an unused image");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn image(id: &str, in_use: bool, pinned: bool) -> StoredImage {
        StoredImage {
            id: id.to_owned(),
            size: GIB,
            in_use,
            pinned,
        }
    }

    fn disk(used_percent: u64) -> Option<Disk> {
        Some(Disk {
            capacity_bytes: 100 * GIB,
            available_bytes: (100 - used_percent) * GIB,
            ..Disk::default()
        })
    }

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.candidates.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn thresholds() {
        let policy = Policy::default();
        for (used, want) in [(84, 0), (85, 5 * GIB), (99, 19 * GIB)] {
            let plan = Collector::default().plan(policy, &[], disk(used), at(1000));
            assert_eq!(plan.wanted, want, "{used} percent");
        }
        assert_eq!(wanted(policy, Disk::default()), 0);
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut collector = Collector::default();
        let policy = Policy::default();
        let start = [
            image("a", true, false),
            image("b", true, false),
            image("c", false, false),
        ];
        collector.plan(policy, &start, disk(90), at(1000));
        let later = [
            image("a", false, false),
            image("b", true, false),
            image("c", false, false),
            image("new", false, false),
            image("pinned", false, true),
        ];
        let plan = collector.plan(policy, &later, disk(90), at(1300));
        assert_eq!(ids(&plan), ["c", "a"]);
        let plan = collector.plan(policy, &later[..4], disk(90), at(1420));
        assert_eq!(ids(&plan), ["c", "new", "a"]);
    }

    #[test]
    fn old_images_go_at_any_rate() {
        let policy = Policy {
            max_age: Some(Duration::from_secs(3600)),
            ..Policy::default()
        };
        let mut collector = Collector::default();
        collector.plan(
            policy,
            &[
                image("a", true, false),
                image("p", true, true),
                image("b", false, false),
            ],
            disk(1),
            at(10),
        );
        let idle = [
            image("a", false, false),
            image("p", false, true),
            image("b", true, false),
        ];
        assert!(
            collector
                .plan(policy, &idle, disk(1), at(3600))
                .aged
                .is_empty()
        );
        assert_eq!(collector.plan(policy, &idle, disk(1), at(3700)).aged, ["a"]);
    }
}
