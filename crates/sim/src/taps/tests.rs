//! Watches and lists that say what happened, and such that do not.

use super::*;
use bytes::Bytes;
use serde_json::json;
use stdx::Instant;
use store::{Event, Record, Revision};

/// An object that was written three times, at commits 1 to 3.
fn history() -> History {
    let mut history = History::default();
    for number in 1..=3 {
        let revision = Revision(number);
        let record = Record {
            key: Bytes::from_static(b"/registry/core/pods/a/p"),
            value: "1{}".into(),
            created: Revision(1),
            modified: revision,
            version: number,
        };
        let change = store::Change::Put { record, prev: None };
        let event = Event { revision, change };
        history.take(&[event], Instant::ORIGIN).unwrap();
    }
    history
}

fn object(revision: u64) -> Value {
    json!({"metadata": {"namespace": "a", "name": "p", "resourceVersion": revision.to_string()}})
}

/// What becomes of a watch after the first commit that says this.
fn watch(said: &[(EventType, u64)]) -> Result<(), String> {
    let (mut taps, history) = (Taps::default(), history());
    let id = taps.open("somebody".to_owned(), pods(), Some(1), &history);
    for (kind, revision) in said {
        let event = WatchEvent {
            kind: *kind,
            object: object(*revision).to_string().into(),
        };
        taps.said(id, &event, &history)?;
    }
    taps.check_complete(&history)
}

fn pods() -> Selection {
    Selection {
        kind: "core/pods".to_owned(),
        ..Selection::default()
    }
}

#[test]
fn a_watch_says_everything_once_and_in_order() {
    use EventType::{Added, Modified};
    watch(&[(Modified, 2), (Modified, 3)]).unwrap();
    for wrong in [
        &[(Modified, 3)][..],
        &[(Modified, 2)],
        &[(Modified, 2), (Modified, 2), (Modified, 3)],
        &[(Modified, 3), (Modified, 2)],
        &[(Added, 2), (Modified, 3)],
    ] {
        watch(wrong).expect_err("nothing was found");
    }
}

#[test]
fn a_list_is_what_there_was() {
    let list = |items: &[u64]| {
        let items: Vec<Value> = items.iter().map(|revision| object(*revision)).collect();
        let list = json!({"metadata": {"resourceVersion": "2"}, "items": items});
        let mut taps = Taps::default();
        taps.listed("somebody".to_owned(), pods(), &list);
        taps.check(&history())
    };
    list(&[2]).unwrap();
    list(&[]).unwrap_err();
    list(&[1]).unwrap_err();
    list(&[3]).unwrap_err();
}
