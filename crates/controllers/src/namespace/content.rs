//! The objects of one resource in a namespace: deleted together, or each by itself where the server
//! cannot delete them together, and then looked for again.

use super::conditions::Findings;
use client::{ApiResource, Client, DeleteOptions, Error, ListOptions, Propagation, Resource};
use std::collections::BTreeMap;
use typed::lean::Pod;
use typed::{PartialObject, Typed, Wire};

/// How long finalizers are given, in seconds.
const FINALIZER_SECONDS: u64 = 15;

/// What is still there, and how long it may take to go.
#[derive(Debug, Default)]
pub(super) struct Remaining {
    /// Objects by resource.
    pub(super) objects: BTreeMap<String, usize>,
    /// Objects by finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    seconds: u64,
}

impl Remaining {
    /// In how many seconds to look again, if something is still there.
    pub(super) fn look_again_in(&self) -> Option<u64> {
        (!self.objects.is_empty()).then_some(self.seconds)
    }
}

/// Deletes the objects of a resource in a namespace and counts what stays.
pub(super) async fn delete(
    client: &Client,
    resource: &ApiResource,
    namespace: &str,
    remaining: &mut Remaining,
    findings: &mut Findings,
) {
    let objects = client
        .resource(resource.gvr.clone(), true)
        .namespace(namespace);
    if let Err(error) = try_delete(&objects, resource, namespace, remaining, findings).await {
        findings.undeleted(error.message());
    }
}

async fn try_delete(
    objects: &Resource,
    resource: &ApiResource,
    namespace: &str,
    remaining: &mut Remaining,
    findings: &mut Findings,
) -> Result<(), Error> {
    let grace = if resource.gvr.group.is_empty() && resource.gvr.resource == "pods" {
        longest_grace(objects).await?
    } else {
        0
    };
    if !delete_together(objects, resource).await? {
        delete_each(objects, resource).await?;
    }
    if !resource.can("list") {
        return Ok(());
    }
    let left = list(objects).await?;
    if left.is_empty() {
        return Ok(());
    }
    remaining.objects.insert(
        format!("{}.{}", resource.gvr.resource, resource.gvr.group),
        left.len(),
    );
    let mut finalized = false;
    for finalizer in left
        .iter()
        .flat_map(|object| object.metadata.finalizers.iter().flatten())
    {
        *remaining.finalizers.entry(finalizer.clone()).or_default() += 1;
        finalized = true;
    }
    let seconds = if grace > 0 { grace } else { FINALIZER_SECONDS };
    if grace == 0 && !finalized {
        let gvr = &resource.gvr;
        findings.undeleted(format!(
            "unexpected items still remain in namespace: {namespace} for gvr: {gvr}"
        ));
    }
    remaining.seconds = remaining.seconds.max(seconds);
    Ok(())
}

/// Whether the objects could be deleted together.
async fn delete_together(objects: &Resource, resource: &ApiResource) -> Result<bool, Error> {
    if !resource.can("deletecollection") {
        return Ok(false);
    }
    match objects
        .delete_collection(&background(), &ListOptions::default())
        .await
    {
        Ok(()) => Ok(true),
        Err(error) if error.is_method_not_allowed() || error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn delete_each(objects: &Resource, resource: &ApiResource) -> Result<(), Error> {
    if !resource.can("list") {
        return Ok(());
    }
    for object in list(objects).await? {
        let name = object.metadata.name.unwrap_or_default();
        match objects.delete(&name, &background()).await {
            Err(error) if !error.is_not_found() && !error.is_method_not_allowed() => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

fn background() -> DeleteOptions {
    DeleteOptions {
        propagation: Some(Propagation::Background),
        ..Default::default()
    }
}

async fn list(objects: &Resource) -> Result<Vec<PartialObject>, Error> {
    let mut found = Vec::new();
    let mut options = ListOptions {
        limit: Some(500),
        ..Default::default()
    };
    loop {
        let page = match objects.list(&options).await {
            Err(error) if error.is_method_not_allowed() || error.is_not_found() => {
                return Ok(Vec::new());
            }
            page => page?,
        };
        // What cannot be read still counts: it is there.
        found.extend(
            page.items
                .iter()
                .map(|item| PartialObject::decode(item).unwrap_or_default()),
        );
        match page.continue_token {
            Some(token) => options.continue_token = Some(token),
            None => return Ok(found),
        }
    }
}

/// How long the slowest pod may take to end, in seconds.
async fn longest_grace(pods: &Resource) -> Result<u64, Error> {
    let list = pods.client().api::<Pod>();
    let namespace = pods.namespace_name().unwrap_or_default();
    let pods = list
        .namespace(namespace)
        .list(&ListOptions::default())
        .await?;
    let grace = |pod: &Pod| {
        let own = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        let left = pod
            .metadata()
            .deletion_grace_period_seconds
            .or(own)
            .unwrap_or(0);
        if crate::pods::is_terminal(pod) {
            0
        } else {
            u64::try_from(left).unwrap_or(0)
        }
    };
    Ok(pods.items.iter().map(grace).max().unwrap_or(0))
}
