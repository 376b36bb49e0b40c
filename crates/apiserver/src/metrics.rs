//! `/metrics` under upstream's names: how many requests, how long, how many
//! are under way, how many objects there are.

use crate::answer::{Answer, Body};
use crate::request::RequestInfo;
use crate::server::Server;
use http::StatusCode;
use http::header::HeaderValue;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the duration histogram, in seconds.
const BUCKETS: [f64; 12] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 5.0, 10.0,
];

/// What is counted apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
}

#[derive(Debug, Default)]
struct Series {
    by_code: BTreeMap<u16, u64>,
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<Labels, Series>>,
    reading: AtomicI64,
    writing: AtomicI64,
}

/// A request that is being measured.
pub(crate) struct Measured {
    labels: Labels,
    mutating: bool,
}

impl Metrics {
    fn inflight(&self, mutating: bool) -> &AtomicI64 {
        if mutating {
            &self.writing
        } else {
            &self.reading
        }
    }

    pub(crate) fn begin(&self, info: &RequestInfo) -> Measured {
        let mutating = !matches!(info.verb, "get" | "list" | "watch" | "head" | "options");
        self.inflight(mutating).fetch_add(1, Ordering::Relaxed);
        let scope = match (
            info.is_resource,
            info.name.is_empty(),
            info.namespace.is_empty(),
        ) {
            (false, ..) => "",
            (true, false, _) => "resource",
            (true, true, false) => "namespace",
            (true, true, true) => "cluster",
        };
        let labels = Labels {
            verb: info.verb,
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            scope,
        };
        Measured { labels, mutating }
    }

    pub(crate) fn end(&self, measured: Measured, code: u16, took: Duration) {
        self.inflight(measured.mutating)
            .fetch_sub(1, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry(measured.labels).or_default();
        *series.by_code.entry(code).or_default() += 1;
        series.count += 1;
        series.sum += seconds;
        for (bucket, bound) in series.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    pub(crate) fn answer(&self, server: &Server) -> Answer {
        let mut out = String::new();
        self.write_requests(&mut out);
        for (kind, gauge) in [("readOnly", &self.reading), ("mutating", &self.writing)] {
            let count = gauge.load(Ordering::Relaxed);
            let _ = writeln!(
                out,
                "apiserver_current_inflight_requests{{request_kind=\"{kind}\"}} {count}"
            );
        }
        let _ = writeln!(
            out,
            "# HELP apiserver_resource_objects Number of stored objects, by kind."
        );
        let _ = writeln!(out, "# TYPE apiserver_resource_objects gauge");
        let mut counts: Vec<_> = server
            .registry
            .resources()
            .iter()
            .filter(|r| r.kind.hub().is_none())
            .map(|r| (r.card().group_resource(), r.cache.len()))
            .collect();
        counts.sort();
        for (resource, count) in counts {
            let (group, name) = (&resource.group, &resource.resource);
            let _ = writeln!(
                out,
                "apiserver_resource_objects{{group=\"{group}\",resource=\"{name}\"}} {count}"
            );
        }
        let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        Answer::new(StatusCode::OK, plain, Body::Full(out.into()))
    }

    fn write_requests(&self, out: &mut String) {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        out.push_str("# HELP apiserver_request_total Requests by verb, resource and code.\n# TYPE apiserver_request_total counter\n");
        for (labels, series) in all.iter() {
            for (code, count) in &series.by_code {
                let _ = writeln!(
                    out,
                    "apiserver_request_total{{code=\"{code}\",{}}} {count}",
                    labels.shown()
                );
            }
        }
        out.push_str("# HELP apiserver_request_duration_seconds How long requests took.\n# TYPE apiserver_request_duration_seconds histogram\n");
        for (labels, series) in all.iter() {
            let shown = labels.shown();
            for (bucket, bound) in series.buckets.iter().zip(BUCKETS) {
                let _ = writeln!(
                    out,
                    "apiserver_request_duration_seconds_bucket{{{shown},le=\"{bound}\"}} {bucket}"
                );
            }
            let (count, sum) = (series.count, series.sum);
            let _ = writeln!(
                out,
                "apiserver_request_duration_seconds_bucket{{{shown},le=\"+Inf\"}} {count}"
            );
            let _ = writeln!(
                out,
                "apiserver_request_duration_seconds_sum{{{shown}}} {sum}"
            );
            let _ = writeln!(
                out,
                "apiserver_request_duration_seconds_count{{{shown}}} {count}"
            );
        }
        out.push_str("# HELP apiserver_current_inflight_requests Requests under way.\n# TYPE apiserver_current_inflight_requests gauge\n");
    }
}

impl Labels {
    fn shown(&self) -> String {
        format!(
            "group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
            self.group,
            self.resource,
            self.scope,
            self.subresource,
            self.verb.to_uppercase(),
            self.version
        )
    }
}
