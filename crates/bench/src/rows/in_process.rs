//! A hundred watchers without sockets, as the loops of the same process watch.

use super::Row;
use crate::bench::Bench;
use crate::figure::{Figure, Samples, Unit};
use anyhow::{Context as _, Result, anyhow};
use auth::User;
use codec::json::parse_value;
use futures::StreamExt as _;
use meta::schema::Ref;
use registry::{Call, Registry, Selection, Start, WatchQuery, hooks::Hooks};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Rng};

const RATE: Figure = Figure::new("watch fan-out in process, 100 watchers", Unit::PerSecond)
    .kubernetes("725,000/s (best published)")
    .at_least(1_000_000.0);

const WATCHERS: usize = 100;
const WRITES: usize = 5_000;

pub const ROW: Row = Row {
    name: "in-process",
    own: true,
    figures: &[RATE],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    for _ in 0..bench.runs(5) {
        let clock = bench.clock.clone();
        let elapsed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().context("start a runtime")?;
            runtime.block_on(once(&clock))
        })
        .join()
        .map_err(|_| anyhow!("the measurement panicked"))??;
        let events = (WATCHERS * WRITES) as f64;
        samples.add(&RATE, events / elapsed.as_secs_f64());
    }
    Ok(())
}

/// Objects are written first into the log; what is timed is that all watchers
/// are told of all of them, the reading of the log included.
async fn once(clock: &Clock) -> Result<Duration> {
    let store = Arc::new(store::memory(clock.clone(), Rng::system()));
    let kinds = api::kinds().map(Ref::Static);
    let registry = Arc::new(Registry::new(
        store,
        clock.clone(),
        Rng::system(),
        admission::Chain::default(),
        Hooks::default(),
        kinds,
    ));
    let feed = registry.start().await.map_err(|s| anyhow!(s.message))?;
    tokio::spawn(feed);
    let resource = registry
        .resource("", "v1", "configmaps")
        .context("ConfigMaps are not served")?;
    let mut watchers = tokio::task::JoinSet::new();
    for _ in 0..WATCHERS {
        let query = WatchQuery {
            selection: Selection::default(),
            start: Start::Now,
            bookmarks: false,
        };
        let notices = registry.watch(resource.clone(), query).await;
        let notices = notices.map_err(|s| anyhow!(s.message))?;
        watchers.spawn(async move { notices.take(WRITES).count().await });
    }
    let user = User::new("bench", &["system:masters"]);
    let start = clock.now();
    for number in 0..WRITES {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c-{number}","namespace":"default"}},"data":{{"n":"{number}"}}}}"#
        );
        let object = parse_value(text.as_bytes()).context("parse an object")?;
        let call = Call::new(&user);
        let made = registry.create(&call, &resource, "default", object).await;
        made.map_err(|s| anyhow!(s.message))?;
    }
    while watchers.join_next().await.is_some() {}
    Ok(clock.since(start))
}
