//! What the server answered about single objects, held against the truth. Each
//! object is a register that is read, written, and written on condition: an
//! answer shows what some commit left, no read overlooks what anybody was told
//! before it was asked for, no write comes before such, and a write on condition
//! follows the very commit that it names.

use crate::history::{History, Object, Place, revision};
use crate::request::{Aim, Verb};
use serde_json::Value;
use std::collections::VecDeque;

/// The answers that are not yet found to be right.
#[derive(Debug, Default)]
pub struct Answers {
    waiting: VecDeque<Answer>,
    newest: u64,
}

/// What the server said of one object.
#[derive(Debug)]
pub struct Answer {
    who: String,
    verb: Verb,
    place: Place,
    revision: u64,
    /// The object without what an answer adds to what is kept.
    object: Value,
    /// The commit that the write was to follow.
    follows: Option<u64>,
    /// The newest commit that anybody was told of before this was asked for.
    floor: u64,
}

impl Answers {
    /// The newest commit that anybody was told of after a write.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Takes in an answer, and checks it as soon as the truth is known.
    pub fn take(&mut self, answer: Answer, history: &History) -> Result<(), String> {
        if answer.revision == 0 {
            return Ok(());
        }
        if answer.verb == Verb::Write {
            self.newest = self.newest.max(answer.revision);
        }
        if answer.is_known(history) {
            return answer.check(history);
        }
        self.waiting.push_back(answer);
        Ok(())
    }

    /// Checks what waited for the truth.
    pub fn check(&mut self, history: &History) -> Result<(), String> {
        for _ in 0..self.waiting.len() {
            let Some(answer) = self.waiting.pop_front() else {
                break;
            };
            match answer.is_known(history) {
                true => answer.check(history)?,
                false => self.waiting.push_back(answer),
            }
        }
        Ok(())
    }
}

impl Answer {
    /// From what a request was about and what was answered.
    pub fn new(who: &str, aim: &Aim, floor: u64, mut object: Value) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let place = Place::new(&aim.place.kind, &aim.place.namespace, name);
        let revision = revision(&object["metadata"]);
        if let Some(object) = object.as_object_mut() {
            object.remove("kind");
            object.remove("apiVersion");
            let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
            metadata.and_then(|metadata| metadata.remove("resourceVersion"));
        }
        Self {
            who: who.to_owned(),
            verb: aim.verb,
            place,
            revision,
            object,
            follows: aim.follows,
            floor,
        }
    }

    fn is_known(&self, history: &History) -> bool {
        self.revision.max(self.floor) <= history.revision
    }

    fn check(&self, history: &History) -> Result<(), String> {
        let outcome = self.check_commit(history);
        outcome.map_err(|why| {
            let Self {
                who, verb, place, ..
            } = self;
            format!("{verb:?} {place} answered {who} wrongly: {why}")
        })
    }

    /// Whether this is what a write left that took away the last finalizer, with
    /// which the object went.
    fn lets_go(&self, last: &Object) -> bool {
        let waits = |object: &Value| {
            ["/metadata/finalizers", "/spec/finalizers"]
                .iter()
                .filter_map(|list| object.pointer(list)?.as_array())
                .any(|list| !list.is_empty())
        };
        let is_write = self.verb == Verb::Write;
        is_write && last.is_deleting() && waits(&last.value) && !waits(&self.object)
    }

    fn check_commit(&self, history: &History) -> Result<(), String> {
        let Some(change) = history.change(&self.place, self.revision) else {
            return Err(format!("it did not change at {}", self.revision));
        };
        match (&change.new, &change.old) {
            (Some(kept), _) if kept.value == self.object => {}
            (None, Some(last)) if self.lets_go(last) => {}
            (Some(_), _) => return Err(format!("at {} it was otherwise", self.revision)),
            (None, _) => return Err(format!("it went at {}", self.revision)),
        }
        let next = history.next_change(&self.place, self.revision);
        if let Some(next) = next.filter(|next| *next <= self.floor) {
            return Err(format!(
                "it is of {}, and had changed at {next} before {} was acknowledged",
                self.revision, self.floor
            ));
        }
        let before = change.old.as_ref().map(|old| old.revision);
        match self.follows {
            // What changes nothing leaves the object at its commit.
            Some(named) if named != self.revision && before != Some(named) => {
                Err(format!("it was to follow {named} and followed {before:?}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;
    use stdx::Instant;
    use store::{Change, Event, Record, Revision};

    /// A register that was written so often, each commit its number.
    fn history(commits: u64) -> History {
        let mut history = History::default();
        for number in 1..=commits {
            let revision = Revision(number);
            let record = Record {
                key: Bytes::from_static(b"/registry/core/configmaps/a/m"),
                value: format!("1{}", value(number)).into(),
                created: Revision(1),
                modified: revision,
                version: number,
            };
            let change = Change::Put { record, prev: None };
            let event = Event { revision, change };
            history.take(&[event], Instant::ORIGIN).unwrap();
        }
        history
    }

    fn value(number: u64) -> Value {
        json!({"metadata": {"namespace": "a", "name": "m"}, "data": {"n": number}})
    }

    fn answer(verb: Verb, revision: u64, follows: Option<u64>, floor: u64) -> Answer {
        Answer {
            who: "somebody".to_owned(),
            verb,
            place: Place::new("core/configmaps", "a", "m"),
            revision,
            object: value(revision),
            follows,
            floor,
        }
    }

    fn check(commits: u64, answer: Answer) -> Result<(), String> {
        Answers::default().take(answer, &history(commits))
    }

    #[test]
    fn a_read_is_no_older_than_what_was_known() {
        check(3, answer(Verb::Get, 3, None, 3)).unwrap();
        check(3, answer(Verb::Get, 2, None, 2)).unwrap();
        check(3, answer(Verb::Get, 2, None, 3)).unwrap_err();
    }

    #[test]
    fn a_read_shows_what_was_written() {
        let mut wrong = answer(Verb::Get, 3, None, 3);
        wrong.object = value(2);
        check(3, wrong).unwrap_err();
        check(3, answer(Verb::Get, 4, None, 3)).unwrap();
    }

    #[test]
    fn a_write_follows_the_commit_that_it_names() {
        check(3, answer(Verb::Write, 3, Some(2), 0)).unwrap();
        check(3, answer(Verb::Write, 3, Some(3), 0)).unwrap();
        check(3, answer(Verb::Write, 3, Some(1), 0)).unwrap_err();
    }

    #[test]
    fn what_is_ahead_of_the_truth_waits_for_it() {
        let mut answers = Answers::default();
        let mut wrong = answer(Verb::Write, 3, Some(1), 0);
        wrong.object = value(3);
        answers.take(wrong, &history(2)).unwrap();
        assert_eq!(answers.newest(), 3);
        answers.check(&history(3)).unwrap_err();
    }
}
