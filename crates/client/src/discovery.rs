//! What the server serves: groups, versions and resources.
//!
//! The plain documents are read (`/api`, `/apis`, and one per group and version). A group whose
//! document fails does not hide the others: it is reported apart, as deletion of a namespace must
//! know what it could not see.

use crate::error::Error;
use crate::path::Gvr;
use crate::request::Client;
use http::Method;
use typed::meta::{APIGroupList, APIResource, APIResourceList};
use typed::{DecodeError, Wire};

/// A resource as discovery describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiResource {
    /// Group, version and plural name.
    pub gvr: Gvr,
    /// The kind of its objects.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl ApiResource {
    /// Whether the resource knows a verb.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// All resources in their group's preferred version, and what could not be read.
#[derive(Debug, Default)]
pub struct Discovery {
    /// The resources, without subresources.
    pub resources: Vec<ApiResource>,
    /// Groups and versions whose document could not be read.
    pub failures: Vec<(String, Error)>,
}

impl Client {
    /// Reads what the server serves, each group in its preferred version.
    pub async fn discover(&self) -> Result<Discovery, Error> {
        let groups = read::<APIGroupList>("/apis", self.get_path("/apis").await?)?;
        let preferred = groups.groups.into_iter().filter_map(|group| {
            let versions = group.versions.into_iter().next();
            Some(group.preferred_version.or(versions)?.group_version)
        });
        let mut discovery = Discovery::default();
        for group_version in std::iter::once("v1".to_owned()).chain(preferred) {
            match self.discover_version(&group_version).await {
                Ok(resources) => discovery.resources.extend(resources),
                Err(error) => discovery.failures.push((group_version, error)),
            }
        }
        Ok(discovery)
    }

    /// Reads the resources of one group and version.
    pub async fn discover_version(&self, group_version: &str) -> Result<Vec<ApiResource>, Error> {
        let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
        let path = Gvr::new(group.to_owned(), version.to_owned(), "").root();
        let list = read::<APIResourceList>(&path, self.get_path(&path).await?)?;
        let whole = list
            .resources
            .into_iter()
            .filter(|resource| !resource.name.contains('/'));
        Ok(whole
            .map(|resource| describe(group, version, resource))
            .collect())
    }
}

fn describe(group: &str, version: &str, resource: APIResource) -> ApiResource {
    let group = resource
        .group
        .filter(|group| !group.is_empty())
        .unwrap_or_else(|| group.to_owned());
    let version = resource
        .version
        .filter(|version| !version.is_empty())
        .unwrap_or_else(|| version.to_owned());
    ApiResource {
        gvr: Gvr::new(group, version, resource.name),
        kind: resource.kind,
        namespaced: resource.namespaced,
        verbs: resource.verbs,
    }
}

fn read<T: Wire>(path: &str, bytes: bytes::Bytes) -> Result<T, Error> {
    T::decode(&bytes).map_err(|source: DecodeError| Error::Decode {
        method: Method::GET,
        path: path.to_owned(),
        source,
    })
}
