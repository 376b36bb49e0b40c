//! The verbs of the double.

use super::request::Target;
use super::store::{Refusal, Store, metadata, raise_generation};
use super::{FakeApi, kinds, patch, respond, select};
use bytes::Bytes;
use client::{Body, EventType, Request, Response, WatchEvent};
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl FakeApi {
    pub(super) fn answer(&self, request: &Request) -> Result<Response, Refusal> {
        let path = request.path.as_str();
        {
            let mut state = self.state();
            state
                .requests
                .push((request.method.clone(), path.to_owned()));
            if let Some(refusal) = state
                .reaction
                .as_ref()
                .and_then(|reaction| reaction(&request.method, path))
            {
                return Err(refusal);
            }
        }
        if let Some(document) = discovery(path) {
            return Ok(respond(200, &document));
        }
        let target = Target::parse(path)?;
        if target.asks("watch") {
            return self.watch(target);
        }
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            parse(&request.body)?
        };
        let content_type = request
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let store = &mut self.state().store;
        match (
            &request.method,
            target.name.is_empty(),
            target.subresource.as_str(),
        ) {
            (&Method::GET, true, _) => Ok(respond(200, &list(store, &target))),
            (&Method::GET, false, _) => Ok(respond(
                200,
                store.require(target.kind.resource, &target.namespace, &target.name)?,
            )),
            (&Method::POST, true, _) => create(store, &target, body),
            (&Method::POST, false, "binding") => bind(store, &target, &body),
            (&Method::PUT, false, _) => replace(store, &target, body),
            (&Method::PATCH, false, _) => change(store, &target, &body, content_type),
            (&Method::DELETE, false, "") => delete(store, &target, &body),
            (&Method::DELETE, true, _) => delete_collection(store, &target, &body),
            _ => Err(Refusal::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )),
        }
    }

    fn watch(&self, target: Target) -> Result<Response, Refusal> {
        let (start, first) = {
            let store = &self.state().store;
            let asked = target
                .query
                .get("resourceVersion")
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0);
            let now = store.revision();
            if target.asks("sendInitialEvents") || asked == 0 {
                let mut first: VecDeque<_> = selected(store, &target)
                    .into_iter()
                    .map(|object| event(EventType::Added, &object))
                    .collect();
                if target.asks("sendInitialEvents") {
                    first.push_back(event(EventType::Bookmark, &bookmark(now)));
                }
                (now, first)
            } else if store.since(asked).is_none() {
                return Err(Refusal::new(410, "Expired", "too old resource version"));
            } else {
                (asked, VecDeque::new())
            }
        };
        let cursor = Cursor {
            api: self.clone(),
            news: self.revision.subscribe(),
            target,
            seen: start,
            ready: first,
            ended: false,
        };
        let events = futures::stream::unfold(cursor, |mut cursor| async move {
            let event = cursor.next().await?;
            Some((Ok(event), cursor))
        });
        Ok(Response {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Body::Events(events.boxed()),
        })
    }
}

/// A watcher's place in the history.
struct Cursor {
    api: FakeApi,
    news: tokio::sync::watch::Receiver<u64>,
    target: Target,
    seen: u64,
    ready: VecDeque<WatchEvent>,
    ended: bool,
}

impl Cursor {
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.news.borrow_and_update();
            self.read();
            if self.ready.is_empty() && !self.ended {
                self.news.changed().await.ok()?;
            }
        }
    }

    fn read(&mut self) {
        let state = self.api.state();
        let Some(changes) = state.store.since(self.seen) else {
            self.ended = true;
            let status = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"});
            self.ready.push_back(event(EventType::Error, &status));
            return;
        };
        for change in changes {
            self.seen = change.revision;
            if change.resource != self.target.kind.resource {
                continue;
            }
            let selects = |object: &Option<Value>| {
                object
                    .clone()
                    .filter(|object| is_selected(&self.target, object))
            };
            match (selects(&change.before), selects(&change.after)) {
                (None, None) => {}
                (None, Some(after)) => self.ready.push_back(event(EventType::Added, &after)),
                (Some(_), Some(after)) => self.ready.push_back(event(EventType::Modified, &after)),
                (Some(mut before), None) => {
                    metadata(&mut before)
                        .insert("resourceVersion".into(), json!(change.revision.to_string()));
                    self.ready.push_back(event(EventType::Deleted, &before));
                }
            }
        }
    }
}

fn event(kind: EventType, object: &Value) -> WatchEvent {
    WatchEvent {
        kind,
        object: Bytes::from(object.to_string()),
    }
}

fn bookmark(revision: u64) -> Value {
    json!({"metadata": {"resourceVersion": revision.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}}})
}

fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refusal::new(400, "BadRequest", error.to_string()))
}

fn is_selected(target: &Target, object: &Value) -> bool {
    let in_namespace = target.namespace.is_empty()
        || object.pointer("/metadata/namespace") == Some(&json!(target.namespace));
    in_namespace
        && target
            .query
            .get("labelSelector")
            .is_none_or(|selector| select::labels_match(selector, object))
        && target
            .query
            .get("fieldSelector")
            .is_none_or(|selector| select::fields_match(selector, object))
}

fn selected(store: &Store, target: &Target) -> Vec<Value> {
    store
        .all(target.kind.resource)
        .into_iter()
        .filter(|object| is_selected(target, object))
        .collect()
}

fn list(store: &Store, target: &Target) -> Value {
    json!({
        "kind": format!("{}List", target.kind.kind),
        "apiVersion": target.kind.api_version,
        "metadata": {"resourceVersion": store.revision().to_string()},
        "items": selected(store, target),
    })
}

fn create(store: &mut Store, target: &Target, mut object: Value) -> Result<Response, Refusal> {
    if target.kind.status
        && let Value::Object(fields) = &mut object
    {
        fields.remove("status");
    }
    Ok(respond(
        201,
        &store.create(target.kind.resource, &target.namespace, object)?,
    ))
}

fn bind(store: &mut Store, target: &Target, binding: &Value) -> Result<Response, Refusal> {
    store.require(target.kind.resource, &target.namespace, &target.name)?;
    let node = binding.pointer("/target/name").cloned().unwrap_or_default();
    store.edit(
        target.kind.resource,
        &target.namespace,
        &target.name,
        |pod| pod["spec"]["nodeName"] = node,
    );
    Ok(respond(
        201,
        &json!({"kind": "Status", "status": "Success"}),
    ))
}

fn replace(store: &mut Store, target: &Target, object: Value) -> Result<Response, Refusal> {
    let before = store
        .require(target.kind.resource, &target.namespace, &target.name)?
        .clone();
    refuse_conflict(target, &before, &object)?;
    let after = merge_parts(target, &before, object);
    Ok(respond(
        200,
        &store.put(target.kind.resource, &target.namespace, &target.name, after),
    ))
}

fn change(
    store: &mut Store,
    target: &Target,
    changes: &Value,
    content_type: &str,
) -> Result<Response, Refusal> {
    let strategic = match content_type {
        "application/strategic-merge-patch+json" => true,
        "application/merge-patch+json" => false,
        other => {
            return Err(Refusal::new(
                415,
                "UnsupportedMediaType",
                format!("no patches of type {other}"),
            ));
        }
    };
    let before = store
        .require(target.kind.resource, &target.namespace, &target.name)?
        .clone();
    refuse_conflict(target, &before, changes)?;
    let mut after = before.clone();
    patch::apply(&mut after, changes, strategic);
    let after = merge_parts(target, &before, after);
    Ok(respond(
        200,
        &store.put(target.kind.resource, &target.namespace, &target.name, after),
    ))
}

/// A write names the state that it is meant for by resource version, uid or both.
fn refuse_conflict(target: &Target, before: &Value, write: &Value) -> Result<(), Refusal> {
    for field in ["/metadata/resourceVersion", "/metadata/uid"] {
        let wanted = write
            .pointer(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty());
        if wanted.is_some_and(|wanted| before.pointer(field) != Some(&json!(wanted))) {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Refusal::conflict(target.kind.resource, &target.name, why));
        }
    }
    Ok(())
}

/// Status is written through its subresource only, and nothing else is. What the server owns stays.
fn merge_parts(target: &Target, before: &Value, mut after: Value) -> Value {
    if target.kind.status {
        let kept = if target.subresource == "status" {
            "spec"
        } else {
            "status"
        };
        after[kept] = before[kept].clone();
        if after[kept].is_null()
            && let Value::Object(fields) = &mut after
        {
            fields.remove(kept);
        }
    }
    after["kind"] = before["kind"].clone();
    after["apiVersion"] = before["apiVersion"].clone();
    let owned = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ];
    for field in owned {
        match before["metadata"].get(field) {
            Some(value) => drop(metadata(&mut after).insert(field.to_owned(), value.clone())),
            None => drop(metadata(&mut after).remove(field)),
        }
    }
    raise_generation(&mut after, before.get("spec"));
    after
}

fn delete(store: &mut Store, target: &Target, options: &Value) -> Result<Response, Refusal> {
    let resource = target.kind.resource;
    let mut object = store
        .require(resource, &target.namespace, &target.name)?
        .clone();
    for field in ["uid", "resourceVersion"] {
        let wanted = options
            .pointer(&format!("/preconditions/{field}"))
            .filter(|value| !value.is_null());
        if wanted.is_some_and(|wanted| object["metadata"][field] != *wanted) {
            let why = format!(
                "Precondition failed: {field} in precondition: {}",
                wanted.unwrap_or(&Value::Null)
            );
            return Err(Refusal::conflict(resource, &target.name, &why));
        }
    }
    let propagation = options
        .get("propagationPolicy")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let finalizer = match propagation {
        "Orphan" => Some("orphan"),
        "Foreground" => Some("foregroundDeletion"),
        _ => None,
    };
    let grace = grace_seconds(resource, &object, options);
    let time = store.time();
    let meta = metadata(&mut object);
    let mut finalizers: BTreeSet<String> = meta
        .get("finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| Some(item.as_str()?.to_owned()))
        .collect();
    if !propagation.is_empty() {
        finalizers.retain(|finalizer| finalizer != "orphan" && finalizer != "foregroundDeletion");
    }
    finalizers.extend(finalizer.map(str::to_owned));
    meta.insert("finalizers".into(), json!(finalizers));
    meta.entry("deletionTimestamp").or_insert(json!(time));
    meta.insert("deletionGracePeriodSeconds".into(), json!(grace));
    if resource == "namespaces" {
        object["status"]["phase"] = json!("Terminating");
    }
    Ok(respond(
        200,
        &store.put(resource, &target.namespace, &target.name, object),
    ))
}

/// Only pods on nodes are given time.
fn grace_seconds(resource: &str, pod: &Value, options: &Value) -> i64 {
    let on_node = resource == "pods"
        && pod
            .pointer("/spec/nodeName")
            .and_then(Value::as_str)
            .is_some_and(|node| !node.is_empty());
    let asked = options.get("gracePeriodSeconds").and_then(Value::as_i64);
    let own = pod
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64);
    if on_node {
        asked.or(own).unwrap_or(30)
    } else {
        0
    }
}

fn delete_collection(
    store: &mut Store,
    target: &Target,
    options: &Value,
) -> Result<Response, Refusal> {
    for object in selected(store, target) {
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let one = Target {
            kind: target.kind,
            namespace: text("namespace"),
            name: text("name"),
            subresource: String::new(),
            query: BTreeMap::new(),
        };
        delete(store, &one, options)?;
    }
    Ok(respond(
        200,
        &json!({"kind": "Status", "status": "Success"}),
    ))
}

/// The plain discovery documents.
fn discovery(path: &str) -> Option<Value> {
    if path == "/apis" {
        let groups: BTreeSet<&str> = kinds::KINDS
            .iter()
            .map(|kind| kind.api_version)
            .filter(|version| version.contains('/'))
            .collect();
        let groups: Vec<Value> = groups.iter().map(|version| {
            let entry = json!({"groupVersion": version, "version": version.rsplit('/').next()});
            json!({"name": version.split('/').next(), "versions": [entry], "preferredVersion": entry})
        }).collect();
        return Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}));
    }
    let api_version = path
        .strip_prefix("/apis/")
        .or_else(|| path.strip_prefix("/api/"))?;
    let served: Vec<Value> = kinds::KINDS.iter().filter(|kind| kind.api_version == api_version).map(|kind| {
        let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        let verbs: Vec<&str> = verbs.into_iter().filter(|verb| kind.resource != "services" || *verb != "deletecollection").collect();
        json!({"name": kind.resource, "kind": kind.kind, "namespaced": kind.namespaced, "singularName": "", "verbs": verbs})
    }).collect();
    (!served.is_empty()).then(|| json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": served}))
}
