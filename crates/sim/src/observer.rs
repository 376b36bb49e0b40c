//! Somebody who follows everything through the same informers as the
//! controllers, over a way that fails, and at the end knows what is there.

use crate::history::Place;
use crate::network::Network;
use crate::world::World;
use client::Gvr;
use informer::{Cached, Factory, Informer, ObjectKey};
use std::collections::BTreeMap;
use stdx::Supervisor;
use typed::{DecodeError, PartialObject, Wire};

/// Group, version, resource, and whether its objects are in namespaces.
const FOLLOWED: &[(&str, &str, &str, bool)] = &[
    ("", "v1", "configmaps", true),
    ("", "v1", "namespaces", false),
    ("", "v1", "nodes", false),
    ("", "v1", "pods", true),
    ("", "v1", "services", true),
    ("apps", "v1", "deployments", true),
    ("apps", "v1", "replicasets", true),
    ("discovery.k8s.io", "v1", "endpointslices", true),
];

/// Follows everything.
pub struct Observer {
    informers: Vec<(String, Informer<Seen>)>,
}

/// What is kept of an object.
#[derive(Debug)]
struct Seen {
    key: ObjectKey,
    revision: String,
}

impl Cached for Seen {
    fn object_key(&self) -> ObjectKey {
        self.key.clone()
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}

impl Observer {
    /// Begins to follow.
    pub fn start(world: &World, network: &Network, supervisor: &Supervisor) -> Self {
        let client = network.client(world, "tower", "observer");
        let clock = world.clock.clone();
        let factory = Factory::new(
            client,
            clock,
            world.rng.fork(),
            supervisor.child("observer"),
        );
        let follow = |(group, version, resource, namespaced): &(
            &'static str,
            &'static str,
            &'static str,
            bool,
        )| {
            let gvr = Gvr::new(*group, *version, *resource);
            let group = if group.is_empty() { "core" } else { group };
            let informer = factory.projected(gvr, *namespaced, Default::default(), see);
            (format!("{group}/{resource}"), informer)
        };
        Self {
            informers: FOLLOWED.iter().map(follow).collect(),
        }
    }

    /// Where what was followed is not what is there.
    pub fn wrong(&self, world: &World) -> Vec<String> {
        let mut wrong = Vec::new();
        let state = world.state();
        for (kind, informer) in &self.informers {
            let seen = informer.store().list();
            let mut seen: BTreeMap<Place, String> = seen
                .iter()
                .map(|seen| {
                    let place = Place::new(kind, &seen.key.namespace, &seen.key.name);
                    (place, seen.revision.clone())
                })
                .collect();
            for (place, object) in state.history.all(kind) {
                match seen.remove(place) {
                    Some(revision) if revision == object.revision.to_string() => {}
                    Some(revision) => wrong.push(format!(
                        "an informer has {place} of {revision}, and it is of {}",
                        object.revision
                    )),
                    None => wrong.push(format!("an informer lacks {place}")),
                }
            }
            wrong.extend(
                seen.into_keys()
                    .map(|place| format!("an informer keeps {place}")),
            );
        }
        wrong
    }
}

fn see(bytes: &[u8]) -> Result<Seen, DecodeError> {
    let object = PartialObject::decode(bytes)?;
    let metadata = object.metadata;
    Ok(Seen {
        key: ObjectKey::new(
            metadata.namespace.unwrap_or_default(),
            metadata.name.unwrap_or_default(),
        ),
        revision: metadata.resource_version.unwrap_or_default(),
    })
}
