//! The API server's double.

mod kinds;
mod patch;
mod request;
mod select;
mod store;
mod verbs;

pub use kinds::Kind;
pub use store::Refusal;

use client::{Body, Client, Request, Response, Transport, TransportError};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stdx::{Clock, Rng};
use store::Store;

/// Decides about a request before the double does: an answer is the request's answer.
pub type Reaction = Box<dyn Fn(&Method, &str) -> Option<Refusal> + Send>;

/// A double of the API server. Clones are the same server.
#[derive(Clone)]
pub struct FakeApi {
    state: Arc<Mutex<State>>,
    revision: Arc<tokio::sync::watch::Sender<u64>>,
}

pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) reaction: Option<Reaction>,
    pub(crate) requests: Vec<(Method, String)>,
}

impl FakeApi {
    /// An empty server.
    pub fn new(clock: Clock, rng: Rng) -> Self {
        let state = State {
            store: Store::new(clock, rng),
            reaction: None,
            requests: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            revision: Arc::new(tokio::sync::watch::Sender::new(0)),
        }
    }

    /// A client of the server.
    pub fn client(&self) -> Client {
        Client::new(Arc::new(self.clone()))
    }

    /// Has requests decided about beforehand.
    pub fn react(&self, reaction: impl Fn(&Method, &str) -> Option<Refusal> + Send + 'static) {
        self.state().reaction = Some(Box::new(reaction));
    }

    /// Lets the server decide about all requests again.
    pub fn relent(&self) {
        self.state().reaction = None;
    }

    /// The writing requests so far, as `METHOD path`, and forgets them.
    pub fn take_writes(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        let writes = requests
            .into_iter()
            .filter(|(method, _)| *method != Method::GET);
        writes
            .map(|(method, path)| format!("{method} {path}"))
            .collect()
    }

    /// An object, if it is there.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.state().store.find(resource, namespace, name).cloned()
    }

    /// All objects of a resource.
    pub fn list(&self, resource: &str) -> Vec<Value> {
        self.state().store.all(resource)
    }

    /// Creates objects, past the reaction.
    ///
    /// # Panics
    /// If the server refuses, as a fixture is at fault then.
    pub fn create(&self, resource: &str, object: Value) -> Value {
        let namespace = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let created = self.state().store.create(resource, &namespace, object);
        self.publish();
        created.unwrap_or_else(|refusal| panic!("create {resource}: {}", refusal.message))
    }

    /// Changes an object whole, status included, past all rules but the removal of what is deleted
    /// and has no finalizers.
    ///
    /// # Panics
    /// If there is no such object.
    pub fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let found = self.state().store.edit(resource, namespace, name, change);
        self.publish();
        assert!(found, "no {resource} {namespace}/{name} to edit");
    }

    /// Takes an object away at once, whatever it waits for.
    pub fn remove(&self, resource: &str, namespace: &str, name: &str) {
        self.state().store.remove(resource, namespace, name);
        self.publish();
    }

    /// Forgets the history, so that watches from the past are refused as expired, and ends the
    /// running ones.
    pub fn compact(&self) {
        self.state().store.compact();
        self.publish();
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self) {
        let revision = self.state().store.revision();
        // Waking all watchers for nothing would cost more than everything else.
        self.revision
            .send_if_modified(|known| std::mem::replace(known, revision) != revision);
    }
}

#[async_trait::async_trait]
impl Transport for FakeApi {
    async fn call(&self, request: Request) -> Result<Response, TransportError> {
        // A real server answers later than at once.
        tokio::task::yield_now().await;
        let outcome = self.answer(&request);
        self.publish();
        match outcome {
            Ok(response) => Ok(response),
            Err(refusal) => Ok(refused(&refusal)),
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    let causes = refusal
        .cause
        .as_ref()
        .map(|cause| json!([{"reason": cause}]));
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
        "details": {"causes": causes},
    });
    respond(refusal.code, &status)
}

pub(crate) fn respond(code: u16, document: &Value) -> Response {
    Response {
        status: StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: HeaderMap::new(),
        body: Body::Full(document.to_string().into()),
    }
}

impl FakeApi {
    /// Every kind that the double serves, to make fixtures from.
    pub fn kinds() -> &'static [Kind] {
        kinds::KINDS
    }
}

#[cfg(test)]
mod tests;
