//! Who asked for what: what a commit changed or took away is held against those
//! who wanted it.

use crate::history::Place;
use crate::request::Verb;
use std::collections::BTreeMap;
use stdx::Instant;

/// Every wish that something may go or be otherwise.
#[derive(Debug, Default)]
pub struct Asks {
    by_place: BTreeMap<Place, Vec<Ask>>,
}

/// A wish that something may go or be otherwise.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Whose.
    pub who: String,
    /// What was wished.
    pub verb: Verb,
    /// When it first came to the server.
    pub at: Instant,
    /// How often it came.
    pub times: u64,
}

impl Asks {
    /// Notes a wish; a place without a name stands for all of its kind there.
    pub fn note(&mut self, place: &Place, who: &str, verb: Verb, at: Instant) {
        let asks = self.by_place.entry(place.clone()).or_default();
        let mut known = asks.iter_mut();
        match known.find(|ask| ask.who == who && ask.verb == verb) {
            Some(ask) => ask.times += 1,
            None => asks.push(Ask {
                who: who.to_owned(),
                verb,
                at,
                times: 1,
            }),
        }
    }

    /// Every wish that an object of that name may go.
    pub fn to_go(&self, place: &Place) -> Vec<&Ask> {
        let mut asks = self.of(place);
        asks.retain(|ask| ask.verb != Verb::Write);
        asks
    }

    /// What was ever wished for an object of that name.
    pub fn of(&self, place: &Place) -> Vec<&Ask> {
        let all = Place::new(&place.kind, &place.namespace, "");
        let places = [place, &all];
        let asks = places.iter().filter_map(|place| self.by_place.get(*place));
        asks.flatten().collect()
    }
}
