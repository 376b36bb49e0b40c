//! What a request is about, read from its method, path and query.

use crate::head::Head;
use crate::history::Place;
use crate::taps::Selection;
use client::Request;
use http::Method;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// A list as fresh as can be.
    List,
    /// A watch.
    Watch,
    /// A created or changed object, which the answer shows.
    Write,
    /// An object, or all of a collection, that shall go.
    Delete,
    /// A pod that shall go if its budget allows.
    Evict,
    /// Something else.
    Other,
}

/// What a request is about.
#[derive(Clone, Debug)]
pub struct Aim {
    /// What it wants.
    pub verb: Verb,
    /// Of which objects; the name is empty if all are meant.
    pub place: Place,
    /// Which objects a list or watch selects; none if that is not understood.
    pub selection: Option<Selection>,
    /// The revision after which a watch begins.
    pub after: Option<u64>,
    /// Whether a watch begins with what there is and says when that is over.
    pub has_initial_events: bool,
    /// The commit that a write shall follow at once.
    pub follows: Option<u64>,
}

impl Aim {
    /// Reads a request.
    pub fn of(request: &Request) -> Self {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query = Query(query);
        let (place, subresource) = place(path);
        let is_watch = query.get("watch") == Some("true");
        let is_page = query.get("limit").is_some() || query.get("continue").is_some();
        let is_fresh = query.get("resourceVersion").is_none();
        let verb = match request.method {
            _ if place.kind.ends_with("/events") || place.kind.is_empty() => Verb::Other,
            Method::GET if is_watch => Verb::Watch,
            Method::GET if place.name.is_empty() && is_fresh && !is_page => Verb::List,
            Method::GET if !place.name.is_empty() && subresource.is_empty() => Verb::Get,
            Method::POST if subresource.is_empty() => Verb::Write,
            Method::POST if subresource == "eviction" => Verb::Evict,
            Method::DELETE => Verb::Delete,
            Method::PUT | Method::PATCH if matches!(subresource, "" | "status" | "finalize") => {
                Verb::Write
            }
            _ => Verb::Other,
        };
        let selection = selection(&place, &query);
        let version = query.get("resourceVersion").unwrap_or_default();
        let has_initial_events = query.get("sendInitialEvents") == Some("true");
        let after = version.parse().ok().filter(|after| *after > 0);
        Self {
            verb,
            place,
            selection,
            after: after.filter(|_| !has_initial_events),
            has_initial_events,
            follows: follows(request),
        }
    }

    /// Whether it is a watch that goes on from somewhere.
    pub fn is_resumed_watch(&self) -> bool {
        self.verb == Verb::Watch && self.after.is_some()
    }

    /// Whether the answer says something that can be checked.
    pub fn is_noted(&self) -> bool {
        matches!(self.verb, Verb::Get | Verb::List | Verb::Write)
    }
}

/// The version that a replacement names.
fn follows(request: &Request) -> Option<u64> {
    if request.method != Method::PUT {
        return None;
    }
    let head = Head::read(&request.body).ok()?;
    Some(head.revision()).filter(|revision| *revision > 0)
}

struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

fn place(path: &str) -> (Place, &str) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("core", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => ("", &[][..]),
    };
    let kind = |plural: &str| format!("{group}/{plural}");
    match rest {
        ["namespaces", namespace, plural] if !matches!(*plural, "status" | "finalize") => {
            (Place::new(&kind(plural), namespace, ""), "")
        }
        ["namespaces", namespace, plural, name] => (Place::new(&kind(plural), namespace, name), ""),
        ["namespaces", namespace, plural, name, sub, ..] => {
            (Place::new(&kind(plural), namespace, name), sub)
        }
        [plural] => (Place::new(&kind(plural), "", ""), ""),
        [plural, name] => (Place::new(&kind(plural), "", name), ""),
        [plural, name, sub, ..] => (Place::new(&kind(plural), "", name), sub),
        [] => (Place::new("", "", ""), ""),
    }
}

fn selection(place: &Place, query: &Query<'_>) -> Option<Selection> {
    if place.kind.ends_with("/events") || place.kind.is_empty() {
        return None;
    }
    Some(Selection {
        kind: place.kind.clone(),
        namespace: place.namespace.clone(),
        labels: equalities(query.get("labelSelector"))?,
        fields: equalities(query.get("fieldSelector"))?,
    })
}

/// The terms of a selector that only asks for equality.
fn equalities(selector: Option<&str>) -> Option<Vec<(String, String)>> {
    let selector = selector.unwrap_or_default();
    let selector = selector
        .replace("%3D", "=")
        .replace("%2C", ",")
        .replace("%2F", "/");
    if selector.contains(['%', '!', '(']) {
        return None;
    }
    let terms = selector.split(',').filter(|term| !term.is_empty());
    let term = |term: &str| {
        let (key, value) = term.split_once('=')?;
        Some((key.to_owned(), value.trim_start_matches('=').to_owned()))
    };
    terms.map(term).collect()
}
