//! Counters of queues and reconcilers, under upstream's names (component-base's
//! metrics/prometheus/workqueue).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upstream's buckets: powers of ten from 10 ns to 10 s.
const BUCKETS: usize = 10;

/// The counters of all queues of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    queues: Arc<Mutex<BTreeMap<String, QueueMetrics>>>,
}

#[derive(Clone, Default)]
pub(crate) struct QueueMetrics {
    pub(crate) depth: usize,
    pub(crate) adds: u64,
    pub(crate) retries: u64,
    pub(crate) panics: u64,
    pub(crate) queued: Histogram,
    pub(crate) worked: Histogram,
}

#[derive(Clone, Default)]
pub(crate) struct Histogram {
    buckets: [u64; BUCKETS],
    count: u64,
    sum: f64,
}

impl Histogram {
    pub(crate) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.count += 1;
        self.sum += seconds;
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            if seconds <= bound(index) {
                *bucket += 1;
            }
        }
    }

    fn render(&self, text: &mut String, metric: &str, name: &str) {
        for (index, bucket) in self.buckets.iter().enumerate() {
            line(
                text,
                format_args!(
                    "{metric}_bucket{{name=\"{name}\",le=\"{:e}\"}} {bucket}",
                    bound(index)
                ),
            );
        }
        line(
            text,
            format_args!(
                "{metric}_bucket{{name=\"{name}\",le=\"+Inf\"}} {}",
                self.count
            ),
        );
        line(
            text,
            format_args!("{metric}_sum{{name=\"{name}\"}} {}", self.sum),
        );
        line(
            text,
            format_args!("{metric}_count{{name=\"{name}\"}} {}", self.count),
        );
    }
}

impl Metrics {
    /// The counters in Prometheus' text form.
    pub fn render(&self) -> String {
        let queues = self.queues();
        let mut text = String::new();
        for (metric, kind, value) in NUMBERS {
            line(&mut text, format_args!("# TYPE {metric} {kind}"));
            for (name, queue) in queues.iter() {
                line(
                    &mut text,
                    format_args!("{metric}{{name=\"{name}\"}} {}", value(queue)),
                );
            }
        }
        for (metric, histogram) in HISTOGRAMS {
            line(&mut text, format_args!("# TYPE {metric} histogram"));
            for (name, queue) in queues.iter() {
                histogram(queue).render(&mut text, metric, name);
            }
        }
        text
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut QueueMetrics)) {
        let mut queues = self.queues();
        if !queues.contains_key(name) {
            queues.insert(name.to_owned(), QueueMetrics::default());
        }
        if let Some(queue) = queues.get_mut(name) {
            change(queue);
        }
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<String, QueueMetrics>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type HistogramOf = (&'static str, fn(&QueueMetrics) -> &Histogram);
type Number = (&'static str, &'static str, fn(&QueueMetrics) -> u64);

const NUMBERS: [Number; 4] = [
    ("workqueue_adds_total", "counter", |queue| queue.adds),
    ("workqueue_depth", "gauge", |queue| queue.depth as u64),
    ("workqueue_panics_total", "counter", |queue| queue.panics),
    ("workqueue_retries_total", "counter", |queue| queue.retries),
];

const HISTOGRAMS: [HistogramOf; 2] = [
    ("workqueue_queue_duration_seconds", |queue| &queue.queued),
    ("workqueue_work_duration_seconds", |queue| &queue.worked),
];

fn bound(index: usize) -> f64 {
    1e-8 * 10f64.powi(i32::try_from(index).unwrap_or(i32::MAX))
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
