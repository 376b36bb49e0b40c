//! What the scheduler's cache keeps of a pod: the core's reading of it, and what
//! was last said of why it has no node. Whole pods are several times as large,
//! and nothing else of them decides a placement.

use std::sync::Arc;

use client::{Gvr, ListOptions};
use informer::{Cached, Factory, Informer, ObjectKey};
use typed::api::core::v1::{ObjectReference, Pod, PodCondition};
use typed::{DecodeError, Time, Typed, Wire};

use crate::pod::{PodError, PodInfo, PodReader};

/// A pod as the scheduler keeps it.
pub struct CachedPod {
    namespace: Arc<str>,
    name: Arc<str>,
    uid: Arc<str>,
    revision: Box<str>,
    /// The generation that reports speak of.
    pub generation: Option<i64>,
    /// The core's reading, or why the pod is left out of scheduling.
    pub info: Result<Arc<PodInfo>, Box<PodError>>,
    /// What the condition PodScheduled says, while it says that the pod is not.
    pub refusal: Option<Box<Refusal>>,
}

/// A condition that says that a pod has no node.
pub struct Refusal {
    /// Why, in one word.
    pub reason: Box<str>,
    /// Why.
    pub message: Box<str>,
    /// Since when the pod has no node.
    pub since: Option<Time>,
    /// The generation of the pod that had none.
    pub generation: Option<i64>,
}

/// The informer of pods, read by the core's reader.
pub fn informer(factory: &Factory, reader: PodReader) -> Informer<CachedPod> {
    let decode = move |bytes: &[u8]| CachedPod::decode(bytes, &reader);
    factory.projected(
        Gvr::of::<Pod>(),
        Pod::NAMESPACED,
        ListOptions::default(),
        decode,
    )
}

impl CachedPod {
    fn decode(bytes: &[u8], reader: &PodReader) -> Result<Self, DecodeError> {
        Ok(Self::new(&Pod::decode(bytes)?, reader))
    }

    fn new(pod: &Pod, reader: &PodReader) -> Self {
        let info = reader.read(pod).map(Arc::new).map_err(Box::new);
        let (namespace, name, uid) = match &info {
            Ok(info) => (info.namespace.clone(), info.name.clone(), info.uid.clone()),
            Err(_) => (pod.namespace().into(), pod.name().into(), pod.uid().into()),
        };
        Self {
            namespace,
            name,
            uid,
            revision: pod.resource_version().into(),
            generation: pod.metadata.generation,
            info,
            refusal: refusal(pod),
        }
    }

    /// The uid; `namespace/name` for a pod that has none.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// A reference to the pod, as events carry it.
    pub fn object_reference(&self) -> ObjectReference {
        ObjectReference {
            resource_version: Some(self.revision.to_string()),
            ..reference(&self.namespace, &self.name, &self.uid)
        }
    }
}

impl Cached for CachedPod {
    fn object_key(&self) -> ObjectKey {
        ObjectKey::new(&*self.namespace, &*self.name)
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}

/// A reference to a pod in whatever state.
pub fn reference(namespace: &str, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(Pod::API_VERSION.into()),
        kind: Some(Pod::KIND.into()),
        namespace: Some(namespace.into()),
        name: Some(name.into()),
        uid: Some(uid.into()),
        ..ObjectReference::default()
    }
}

fn refusal(pod: &Pod) -> Option<Box<Refusal>> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let is_refusal = |condition: &&PodCondition| {
        condition.type_ == "PodScheduled" && condition.status == "False"
    };
    let condition = conditions.iter().find(is_refusal)?;
    Some(Box::new(Refusal {
        reason: condition.reason.as_deref().unwrap_or_default().into(),
        message: condition.message.as_deref().unwrap_or_default().into(),
        since: condition.last_transition_time.clone(),
        generation: condition.observed_generation,
    }))
}
