//! What every store must do, as cases that run against any of them.
//!
//! The cases run one after another on one store, each below a prefix of its
//! own, and expect nothing of its revisions but that they grow.

#![expect(
    clippy::unwrap_used,
    reason = "the suite fails by panicking, as tests do"
)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future, future::BoxFuture};
use stdx::Clock;

use crate::{
    Batch, Change, Error, Event, Op, Outcome, Range, Record, Revision, Span, Store, Txn, Watch,
    WatchFrom,
};

/// What a case gets.
#[derive(Clone)]
pub struct Fixture {
    store: Arc<dyn Store>,
    clock: Clock,
    prefix: String,
    /// Whether a watch tells its progress when it is asked.
    tells_progress: bool,
}

type Case = fn(Fixture) -> BoxFuture<'static, ()>;

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($name), |fixture| $name(fixture).boxed())),*];
    };
}

cases![
    absence_is_not_failure,
    compaction_forgets_the_past_only,
    concurrent_increments_are_not_lost,
    conflicts_tell_what_is_there,
    deleting_nothing_changes_nothing,
    expiring_records_end,
    future_cannot_be_read,
    keys_and_values_are_bytes,
    large_values_and_ranges,
    pages_are_of_one_revision,
    progress_is_told_when_asked,
    ranges_are_ordered_and_counted,
    records_tell_their_history,
    transactions_are_all_or_nothing,
    transactions_change_a_key_once,
    watchers_resume_from_history,
    watchers_see_commits_whole,
    watchers_see_each_change_in_order,
    watchers_that_fall_behind_miss_nothing,
];

/// Runs all cases.
///
/// # Panics
/// If the store does not do what it must.
pub async fn check(store: Arc<dyn Store>, clock: Clock, tells_progress: bool) {
    for (name, case) in CASES {
        println!("contract: {name}");
        case(Fixture {
            store: store.clone(),
            clock: clock.clone(),
            prefix: format!("/{name}/"),
            tells_progress,
        })
        .await;
    }
}

impl Fixture {
    fn key(&self, name: &str) -> Bytes {
        format!("{}{name}", self.prefix).into()
    }

    fn span(&self) -> Span {
        Span::prefix(self.prefix.clone())
    }

    async fn commit(&self, txn: Txn) -> Revision {
        match self.store.txn(txn).await {
            Ok(Outcome::Committed(revision)) => revision,
            other => panic!("expected a commit, got {other:?}"),
        }
    }

    async fn put(&self, name: &str, value: &str) -> Revision {
        let txn = Txn::default().put(self.key(name), value.to_owned());
        self.commit(txn).await
    }

    async fn delete(&self, name: &str) -> Revision {
        self.commit(Txn::default().delete(self.key(name))).await
    }

    async fn get(&self, name: &str) -> Option<Record> {
        self.store.get(&self.key(name), None).await.unwrap()
    }

    async fn value_at(&self, name: &str, at: Revision) -> Option<String> {
        let record = self.store.get(&self.key(name), Some(at)).await.unwrap();
        record.map(|record| text(&record.value.whole()))
    }

    async fn names(&self, range: Range) -> Vec<String> {
        let page = self.store.range(range).await.unwrap();
        page.records
            .iter()
            .map(|record| text(&record.key[self.prefix.len()..]))
            .collect()
    }

    async fn watch(&self, after: Revision) -> Watch {
        let from = WatchFrom::new(self.span(), after);
        self.store.watch(from).await.unwrap()
    }

    async fn next(&self, watch: &mut Watch) -> Batch {
        let next = self.clock.timeout(Duration::from_secs(60), watch.next());
        match next.await {
            Ok(Some(Ok(batch))) => batch,
            other => panic!("expected a batch, got {other:?}"),
        }
    }

    /// Reads a watch until it has told this many events.
    async fn events(&self, watch: &mut Watch, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            let batch = self.next(watch).await;
            if let Some(last) = batch.events.last() {
                assert!(batch.progress >= last.revision, "progress covers events");
            }
            events.extend(batch.events);
        }
        assert_eq!(events.len(), count, "no more events than changes");
        events
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An event in few words: `put name=value (was value)`.
fn brief(fixture: &Fixture, event: &Event) -> String {
    let name = text(&event.key()[fixture.prefix.len()..]);
    let was = event.prev().map_or(String::new(), |prev| {
        format!(" (was {})", text(&prev.value.whole()))
    });
    match &event.change {
        Change::Put { record, .. } => {
            assert_eq!(record.modified, event.revision);
            format!("put {name}={}{was}", text(&record.value.whole()))
        }
        Change::Delete { .. } => format!("delete {name}{was}"),
    }
}

async fn absence_is_not_failure(f: Fixture) {
    assert_eq!(f.get("nothing").await, None);
    let page = f.store.range(Range::new(f.span())).await.unwrap();
    assert_eq!((page.records.len(), page.count, page.more), (0, 0, false));
    assert!(page.revision >= Revision(1), "zero means something else");
}

async fn records_tell_their_history(f: Fixture) {
    let first = f.put("a", "1").await;
    let second = f.put("a", "2").await;
    assert!(second > first);
    let record = f.get("a").await.unwrap();
    let seen = (record.created, record.modified, record.version);
    assert_eq!(seen, (first, second, 2));
    assert_eq!(text(&record.value.whole()), "2");
    f.delete("a").await;
    let again = f.put("a", "3").await;
    let record = f.get("a").await.unwrap();
    let seen = (record.created, record.modified, record.version);
    assert_eq!(seen, (again, again, 1), "a new life");
    assert_eq!(f.value_at("a", first).await.as_deref(), Some("1"));
    assert_eq!(f.value_at("a", second).await.as_deref(), Some("2"));
    assert!(f.store.revision().await.unwrap() >= again);
}

async fn conflicts_tell_what_is_there(f: Fixture) {
    let key = f.key("a");
    let first = f.commit(Txn::create(key.clone(), "1")).await;
    let there = f.get("a").await;
    for txn in [
        Txn::create(key.clone(), "2"),
        Txn::update(key.clone(), Revision(first.0 - 1), "2"),
        Txn::remove(key.clone(), Revision(first.0 - 1)),
    ] {
        let Ok(Outcome::Conflict(conflict)) = f.store.txn(txn).await else {
            panic!("expected a conflict");
        };
        assert_eq!(conflict.current, [(key.clone(), there.clone())]);
        assert!(conflict.revision >= first);
    }
    let missing = f.key("missing");
    let txn = Txn::update(missing.clone(), first, "2").unchanged(key.clone(), first);
    let Ok(Outcome::Conflict(conflict)) = f.store.txn(txn).await else {
        panic!("expected a conflict");
    };
    assert_eq!(conflict.current, [(missing, None)], "only what failed");
    assert_eq!(f.get("a").await, there, "nothing happened");
    f.commit(Txn::update(key.clone(), first, "2")).await;
}

async fn deleting_nothing_changes_nothing(f: Fixture) {
    let before = f.put("a", "1").await;
    assert_eq!(f.delete("b").await, before);
    assert_eq!(f.store.revision().await.unwrap(), before);
    let mut watch = f.watch(before).await;
    f.delete("b").await;
    f.put("c", "1").await;
    let events = f.events(&mut watch, 1).await;
    assert_eq!(brief(&f, &events[0]), "put c=1");
}

async fn transactions_are_all_or_nothing(f: Fixture) {
    f.put("a", "old").await;
    let txn = Txn::default()
        .absent(f.key("b"))
        .put(f.key("b"), "new")
        .put(f.key("c"), "new")
        .delete(f.key("a"));
    let revision = f.commit(txn.clone()).await;
    for name in ["b", "c"] {
        assert_eq!(f.get(name).await.unwrap().modified, revision, "{name}");
    }
    assert_eq!(f.get("a").await, None);
    f.put("a", "again").await;
    let outcome = f.store.txn(txn).await.unwrap();
    assert!(matches!(outcome, Outcome::Conflict(_)), "{outcome:?}");
    assert_eq!(f.get("a").await.unwrap().value, "again");
    assert_eq!(f.get("c").await.unwrap().modified, revision);
}

async fn transactions_change_a_key_once(f: Fixture) {
    let txn = Txn::default().put(f.key("a"), "1").delete(f.key("a"));
    let refused = f.store.txn(txn).await;
    assert!(
        matches!(&refused, Err(Error::DuplicateKey { key }) if *key == f.key("a")),
        "{refused:?}"
    );
    assert_eq!(f.get("a").await, None);
}

async fn ranges_are_ordered_and_counted(f: Fixture) {
    for name in ["c", "a", "b/2", "b", "b/1", "d"] {
        f.put(name, name).await;
    }
    f.delete("d").await;
    let all = Range::new(f.span());
    assert_eq!(f.names(all.clone()).await, ["a", "b", "b/1", "b/2", "c"]);
    let page = f.store.range(all.clone().limit(2)).await.unwrap();
    assert_eq!((page.records.len(), page.count, page.more), (2, 5, true));
    let rest = f.span().after(&page.records[1].key);
    assert_eq!(f.names(Range::new(rest)).await, ["b/1", "b/2", "c"]);
    let exact = f.store.range(all.limit(5)).await.unwrap();
    assert_eq!((exact.records.len(), exact.more), (5, false));
    let below = Range::new(Span::prefix(f.key("b/")));
    assert_eq!(f.names(below).await, ["b/1", "b/2"]);
    let one = Range::new(Span::key(f.key("b")));
    assert_eq!(f.names(one).await, ["b"]);
    let (start, end) = (f.key("c"), Some(f.key("a")));
    assert!(f.names(Range::new(Span { start, end })).await.is_empty());
}

async fn pages_are_of_one_revision(f: Fixture) {
    for name in ["a", "b", "c", "d"] {
        f.put(name, "1").await;
    }
    let first = f.store.range(Range::new(f.span()).limit(2)).await.unwrap();
    f.delete("c").await;
    f.put("d", "2").await;
    f.put("e", "2").await;
    let rest = f.span().after(&first.records[1].key);
    let rest = Range::new(rest).at(first.revision);
    let second = f.store.range(rest).await.unwrap();
    assert_eq!(second.revision, first.revision);
    let seen: Vec<_> = second
        .records
        .iter()
        .map(|record| (record.key.clone(), text(&record.value.whole())))
        .collect();
    let expected = ["c", "d"].map(|name| (f.key(name), "1".to_owned()));
    assert_eq!(seen, expected);
}

async fn keys_and_values_are_bytes(f: Fixture) {
    let mut key = f.key("").to_vec();
    key.extend([0, 255, 254, b'\n']);
    let key = Bytes::from(key);
    let every_byte: Vec<u8> = (0..=255).collect();
    for value in [Vec::new(), every_byte] {
        let txn = Txn::default().put(key.clone(), value.clone());
        f.commit(txn).await;
        let record = f.store.get(&key, None).await.unwrap().unwrap();
        assert_eq!((record.key, record.value), (key.clone(), value.into()));
    }
}

async fn large_values_and_ranges(f: Fixture) {
    let value = |number: u8| Bytes::from(vec![number; 1 << 20]);
    for number in 0..8 {
        let name = number.to_string();
        f.commit(Txn::create(f.key(&name), value(number))).await;
    }
    let page = f.store.range(Range::new(f.span())).await.unwrap();
    assert_eq!((page.records.len(), page.count, page.more), (8, 8, false));
    for (number, record) in page.records.iter().enumerate() {
        assert!(record.value == value(number as u8), "value {number}");
    }
}

async fn future_cannot_be_read(f: Fixture) {
    let now = f.put("a", "1").await;
    let future = Revision(now.0 + 1000);
    let result = f.store.get(&f.key("a"), Some(future)).await;
    assert!(matches!(result, Err(Error::Future { .. })), "{result:?}");
    let result = f.store.range(Range::new(f.span()).at(future)).await;
    assert!(matches!(result, Err(Error::Future { .. })), "{result:?}");
    let result = f.store.watch(WatchFrom::new(f.span(), future)).await;
    assert!(matches!(result, Err(Error::Future { .. })), "{result:?}");
    let result = f.store.compact(future).await;
    assert!(matches!(result, Err(Error::Future { .. })), "{result:?}");
}

async fn compaction_forgets_the_past_only(f: Fixture) {
    let first = f.put("a", "1").await;
    f.put("gone", "1").await;
    f.delete("gone").await;
    let second = f.put("a", "2").await;
    let third = f.put("a", "3").await;
    f.store.compact(second).await.unwrap();
    assert_eq!(f.value_at("a", second).await.as_deref(), Some("2"));
    assert_eq!(f.value_at("a", third).await.as_deref(), Some("3"));
    assert_eq!(f.value_at("gone", second).await, None);
    assert_eq!(f.store.compacted().await.unwrap(), second);

    let result = f.store.get(&f.key("a"), Some(first)).await;
    assert!(matches!(result, Err(Error::Compacted { .. })), "{result:?}");
    let result = f.store.range(Range::new(f.span()).at(first)).await;
    assert!(matches!(result, Err(Error::Compacted { .. })), "{result:?}");
    let result = f.store.compact(first).await;
    assert!(matches!(result, Err(Error::Compacted { .. })), "{result:?}");
    match f.store.watch(WatchFrom::new(f.span(), first)).await {
        Err(Error::Compacted { compacted, .. }) => assert_eq!(compacted, second),
        Err(other) => panic!("expected a compaction, got {other:?}"),
        Ok(mut watch) => {
            let next = watch.next().await;
            let compacted = matches!(next, Some(Err(Error::Compacted { .. })));
            assert!(compacted, "{next:?}");
            assert!(watch.next().await.is_none(), "a watch ends after an error");
        }
    }
    let mut watch = f.watch(second).await;
    let events = f.events(&mut watch, 1).await;
    assert_eq!(brief(&f, &events[0]), "put a=3 (was 2)");
}

async fn watchers_see_each_change_in_order(f: Fixture) {
    let start = f.put("before", "0").await;
    let mut watch = f.watch(start).await;
    let other = Txn::default().put(format!("{}x", &f.prefix[..3]), "elsewhere");
    f.put("a", "1").await;
    f.commit(other).await;
    f.put("a", "2").await;
    f.delete("a").await;
    let last = f.put("b", "3").await;
    let events = f.events(&mut watch, 4).await;
    let told: Vec<_> = events.iter().map(|event| brief(&f, event)).collect();
    assert_eq!(
        told,
        ["put a=1", "put a=2 (was 1)", "delete a (was 2)", "put b=3"]
    );
    assert!(events.is_sorted_by_key(|event| event.revision));
    assert_eq!(events.last().map(|event| event.revision), Some(last));
}

async fn watchers_resume_from_history(f: Fixture) {
    let mut revisions = Vec::new();
    for number in 0..20 {
        revisions.push(
            f.put(&format!("k{}", number % 3), &number.to_string())
                .await,
        );
    }
    for (position, after) in revisions.iter().enumerate() {
        let left = revisions.len() - position - 1;
        if left == 0 {
            break;
        }
        let mut watch = f.watch(*after).await;
        let events = f.events(&mut watch, left).await;
        let seen: Vec<_> = events.iter().map(|event| event.revision).collect();
        assert_eq!(seen, revisions[position + 1..]);
        for event in &events {
            let at = Revision(event.revision.0 - 1);
            let before = f.store.get(event.key(), Some(at)).await.unwrap();
            assert_eq!(event.prev(), before.as_ref(), "the version before");
        }
    }
}

async fn watchers_see_commits_whole(f: Fixture) {
    let start = f.put("seed", "0").await;
    let mut live = f.watch(start).await;
    let mut txn = Txn::default().delete(f.key("seed"));
    for number in 0..50 {
        let key = f.key(&format!("k{number}"));
        let value = Bytes::from(vec![b'v'; 2000]);
        let ttl = None;
        txn.ops.push(Op::Put { key, value, ttl });
    }
    let revision = f.commit(txn).await;
    let mut late = f.watch(start).await;
    for watch in [&mut live, &mut late] {
        let batch = loop {
            let batch = f.next(watch).await;
            if !batch.events.is_empty() {
                break batch;
            }
        };
        assert_eq!(batch.events.len(), 51);
        assert!(batch.events.iter().all(|event| event.revision == revision));
    }
}

async fn watchers_that_fall_behind_miss_nothing(f: Fixture) {
    let start = f.put("k", "start").await;
    let mut watch = f.watch(start).await;
    let writes = (0..1500).map(|number| {
        let f = f.clone();
        async move {
            f.put(&format!("k{}", number % 7), &number.to_string())
                .await
        }
    });
    let mut revisions: Vec<_> = future::join_all(writes).await;
    revisions.sort_unstable();
    let events = f.events(&mut watch, 1500).await;
    let seen: Vec<_> = events.iter().map(|event| event.revision).collect();
    assert!(seen == revisions, "every commit once and in order");
}

async fn progress_is_told_when_asked(f: Fixture) {
    if !f.tells_progress {
        println!("skipped: this store cannot promise progress");
        return;
    }
    let start = f.put("a", "1").await;
    let mut watch = f.watch(start).await;
    let elsewhere = Txn::default().put("/elsewhere", "1");
    let now = f.commit(elsewhere).await;
    watch.progress().send();
    loop {
        let batch = f.next(&mut watch).await;
        assert!(batch.events.is_empty());
        if batch.progress >= now {
            break;
        }
    }
    f.put("a", "2").await;
    let events = f.events(&mut watch, 1).await;
    assert_eq!(brief(&f, &events[0]), "put a=2 (was 1)");
}

async fn expiring_records_end(f: Fixture) {
    let second = Some(Duration::from_secs(1));
    let start = f
        .commit(Txn::default().put_for(f.key("ends"), "1", second))
        .await;
    let both =
        Txn::default()
            .put_for(f.key("kept"), "1", second)
            .put_for(f.key("renewed"), "1", second);
    f.commit(both).await;
    f.put("kept", "2").await;
    let hour = Some(Duration::from_secs(3600));
    f.commit(Txn::default().put_for(f.key("renewed"), "2", hour))
        .await;
    assert!(f.get("ends").await.is_some());
    let mut watch = f.watch(start).await;
    let events = f.events(&mut watch, 5).await;
    let told = brief(&f, events.last().unwrap());
    assert_eq!(told, "delete ends (was 1)");
    assert_eq!(f.get("ends").await, None);
    assert!(f.get("kept").await.is_some());
    assert!(f.get("renewed").await.is_some());
}

async fn concurrent_increments_are_not_lost(f: Fixture) {
    f.put("counter", "0").await;
    let increments = (0..8).map(|_| {
        let f = f.clone();
        async move {
            for _ in 0..25 {
                increment(&f).await;
            }
        }
    });
    future::join_all(increments).await;
    let record = f.get("counter").await.unwrap();
    assert_eq!(text(&record.value.whole()), "200");
    assert_eq!(record.version, 201);
}

async fn increment(f: &Fixture) {
    let mut current = f.get("counter").await.unwrap();
    loop {
        let count: u64 = text(&current.value.whole()).parse().unwrap();
        let value = (count + 1).to_string();
        let txn = Txn::update(f.key("counter"), current.modified, value);
        match f.store.txn(txn).await.unwrap() {
            Outcome::Committed(_) => return,
            Outcome::Conflict(conflict) => {
                let found = conflict.current.into_iter().next();
                current = found.and_then(|(_, record)| record).unwrap();
            }
        }
    }
}
