//! At rest the Endpoints of a Service hold what its slices hold.

use super::endpoint_slices::expected;
use super::{Invariant, View};
use crate::history::Object;
use std::collections::BTreeMap;

pub struct Endpoints;

impl Invariant for Endpoints {
    fn name(&self) -> &'static str {
        "endpoints"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        for (place, service) in view.history.all("core/services") {
            if !service.at("/spec/selector").is_object() {
                continue;
            }
            let endpoints = view
                .history
                .get("core/endpoints", &place.namespace, &place.name);
            let Some(endpoints) = endpoints else {
                return Err(format!("{place} has no Endpoints"));
            };
            let (found, expected) = (told(endpoints), expected(view, place, service));
            if found != expected {
                return Err(format!(
                    "the Endpoints of {place} tell of {found:?}, and it has {expected:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Addresses and whether they are ready.
fn told(endpoints: &Object) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for subset in endpoints.items("/subsets") {
        for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            let addresses = subset[field].as_array().into_iter().flatten();
            let addresses = addresses.filter_map(|address| address["ip"].as_str());
            found.extend(addresses.map(|ip| (ip.to_owned(), ready)));
        }
    }
    found
}
