//! What becomes of an event among its like: it is written, counted, combined or dropped.
//!
//! Follows client-go's tools/record/events_cache.go: the same event again raises the count of the
//! first; ten that differ in their message only are combined into one; a source has 25 events per
//! object to spend, and gets one more every five minutes.

use super::recent::Recent;
use std::collections::BTreeSet;
use std::time::Duration;
use stdx::Instant;
use typed::Time;
use typed::api::core::v1::Event;

const COMBINED_FROM: usize = 10;
const COMBINED_WITHIN: Duration = Duration::from_secs(600);
const BURST: f64 = 25.0;
const REFILL_PER_SECOND: f64 = 1.0 / 300.0;

/// What to do with an event.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Nothing: its source has said enough about its object.
    Skip,
    /// Write it as new.
    Create(Box<Event>),
    /// Raise the count of the one that was written before, which has this event's name.
    Count(Box<Event>),
}

/// The memory of the events of one component.
pub(super) struct Correlator {
    groups: Recent<Group>,
    written: Recent<Written>,
    budgets: Recent<Budget>,
}

#[derive(Clone, Default)]
struct Group {
    messages: BTreeSet<String>,
    last: Option<Instant>,
}

#[derive(Clone)]
struct Written {
    name: String,
    first: Option<Time>,
    count: i32,
}

#[derive(Clone, Copy)]
struct Budget {
    tokens: f64,
    at: Instant,
}

impl Correlator {
    pub(super) fn new() -> Self {
        Self {
            groups: Recent::new(),
            written: Recent::new(),
            budgets: Recent::new(),
        }
    }

    pub(super) fn correlate(&mut self, event: Event, now: Instant) -> Decision {
        let spam_key = object_key(&event);
        let (event, key) = self.combine(event, now);
        let event = self.count(event, key);
        if !self.spend(spam_key, now) {
            return Decision::Skip;
        }
        match event.count {
            Some(count) if count > 1 => Decision::Count(Box::new(event)),
            _ => Decision::Create(Box::new(event)),
        }
    }

    /// The event, or one that stands for it and its like; and the key to count it under.
    fn combine(&mut self, mut event: Event, now: Instant) -> (Event, String) {
        let message = event.message.clone().unwrap_or_default();
        let group_key = group_key(&event);
        let mut group = self.groups.get(&group_key).cloned().unwrap_or_default();
        if group.last.is_none_or(|last| now - last > COMBINED_WITHIN) {
            group.messages.clear();
        }
        group.last = Some(now);
        group.messages.insert(message.clone());
        let combined = group.messages.len() >= COMBINED_FROM;
        if combined {
            group.messages.pop_first();
        }
        self.groups.put(group_key.clone(), group);
        if !combined {
            let key = format!(
                "{group_key}\0{}\0{message}",
                event
                    .involved_object
                    .field_path
                    .as_deref()
                    .unwrap_or_default()
            );
            return (event, key);
        }
        event.message = Some(format!("(combined from similar events): {message}"));
        (event, group_key)
    }

    fn count(&mut self, mut event: Event, key: String) -> Event {
        if let Some(written) = self.written.get(&key) {
            event.metadata.name = Some(written.name.clone());
            event.first_timestamp = written.first.clone();
            event.count = Some(written.count.saturating_add(1));
        }
        let written = Written {
            name: event.metadata.name.clone().unwrap_or_default(),
            first: event.first_timestamp.clone(),
            count: event.count.unwrap_or(1),
        };
        self.written.put(key, written);
        event
    }

    fn spend(&mut self, key: String, now: Instant) -> bool {
        let budget = self.budgets.get(&key).copied().unwrap_or(Budget {
            tokens: BURST,
            at: now,
        });
        let tokens =
            (budget.tokens + (now - budget.at).as_secs_f64() * REFILL_PER_SECOND).min(BURST);
        let accepted = tokens >= 1.0;
        self.budgets.put(
            key,
            Budget {
                tokens: if accepted { tokens - 1.0 } else { tokens },
                at: now,
            },
        );
        accepted
    }
}

/// Source and object.
fn object_key(event: &Event) -> String {
    let source = event.source.as_ref();
    let object = &event.involved_object;
    let parts = [
        source.and_then(|source| source.component.as_deref()),
        source.and_then(|source| source.host.as_deref()),
        object.kind.as_deref(),
        object.namespace.as_deref(),
        object.name.as_deref(),
        object.uid.as_deref(),
        object.api_version.as_deref(),
    ];
    parts.map(Option::unwrap_or_default).join("\0")
}

/// Source, object, type and reason: all but the message.
fn group_key(event: &Event) -> String {
    let parts = [event.type_.as_deref(), event.reason.as_deref()];
    format!(
        "{}\0{}",
        object_key(event),
        parts.map(Option::unwrap_or_default).join("\0")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use typed::api::core::v1::{EventSource, ObjectReference};

    struct Story {
        correlator: Correlator,
        seconds: u64,
    }

    impl Story {
        fn new() -> Self {
            Self {
                correlator: Correlator::new(),
                seconds: 0,
            }
        }

        fn say(&mut self, object: &str, message: &str) -> String {
            let involved_object = ObjectReference {
                name: Some(object.into()),
                ..Default::default()
            };
            let mut event = Event {
                involved_object,
                message: Some(message.into()),
                reason: Some("Why".into()),
                source: Some(EventSource {
                    component: Some("me".into()),
                    host: None,
                }),
                count: Some(1),
                ..Default::default()
            };
            event.metadata.name = Some(format!("{object}.{}", self.seconds));
            let now = Instant::ORIGIN + Duration::from_secs(self.seconds);
            match self.correlator.correlate(event, now) {
                Decision::Skip => "skip".into(),
                Decision::Create(event) => format!("new {}", event.message.unwrap()),
                Decision::Count(event) => {
                    format!(
                        "{} {} x{}",
                        event.metadata.name.unwrap(),
                        event.message.unwrap(),
                        event.count.unwrap()
                    )
                }
            }
        }
    }

    #[test]
    fn the_same_again_is_counted() {
        let mut story = Story::new();
        assert_eq!(story.say("a", "m"), "new m");
        story.seconds = 5;
        assert_eq!(story.say("a", "m"), "a.0 m x2");
        assert_eq!(story.say("a", "m"), "a.0 m x3");
        assert_eq!(story.say("b", "m"), "new m");
    }

    #[test]
    fn ten_that_differ_in_their_message_are_combined() {
        let mut story = Story::new();
        for number in 1..10 {
            assert_eq!(
                story.say("a", &format!("m{number}")),
                format!("new m{number}")
            );
        }
        assert_eq!(
            story.say("a", "m10"),
            "new (combined from similar events): m10"
        );
        assert!(
            story
                .say("a", "m11")
                .ends_with("(combined from similar events): m11 x2")
        );
        story.seconds = 700;
        assert_eq!(story.say("a", "m12"), "new m12");
    }

    #[test]
    fn a_source_has_a_budget_per_object() {
        let mut story = Story::new();
        for _ in 0..25 {
            assert_ne!(story.say("a", "m"), "skip");
        }
        assert_eq!(story.say("a", "m"), "skip");
        assert_ne!(story.say("b", "m"), "skip");
        story.seconds = 301;
        assert_ne!(story.say("a", "m"), "skip");
        assert_eq!(story.say("a", "m"), "skip");
    }
}
