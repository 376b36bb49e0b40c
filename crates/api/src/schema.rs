//! The committed schema table: how to find a type in it, and the words in
//! which the generated files are written.

use crate::generated::TYPES;
use meta::schema::{Field, List, ListKind, Map, Omit, Patch, Ref, Struct, Type};
use std::borrow::Cow;

/// A built-in type by Go package and name: `("k8s.io/api/core/v1", "Pod")`.
pub fn find(package: &str, name: &str) -> Option<&'static Struct> {
    TYPES
        .binary_search_by(|(p, n, _)| (*p, *n).cmp(&(package, name)))
        .ok()
        .map(|i| TYPES[i].2)
}

/// The package of the types that all groups share.
const META: &str = "k8s.io/apimachinery/pkg/apis/meta/v1";

/// A built-in type as objects name it: `("apps/v1", "DeploymentList")`. The types
/// that all groups share (`Status`, `DeleteOptions`) are found in each.
pub fn of(api_version: &str, kind: &str) -> Option<&'static Struct> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let package = match group {
        "" => format!("k8s.io/api/core/{version}"),
        "meta.k8s.io" => META.to_string(),
        "apiextensions.k8s.io" => {
            format!("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/{version}")
        }
        "apiregistration.k8s.io" => {
            format!("k8s.io/kube-aggregator/pkg/apis/apiregistration/{version}")
        }
        "metrics.k8s.io" | "custom.metrics.k8s.io" | "external.metrics.k8s.io" => {
            let folder = group.trim_end_matches(".k8s.io").replace('.', "_");
            format!("k8s.io/metrics/pkg/apis/{folder}/{version}")
        }
        "internal.apiserver.k8s.io" => format!("k8s.io/api/apiserverinternal/{version}"),
        group => {
            let folder = group.split('.').next().unwrap_or(group);
            format!("k8s.io/api/{folder}/{version}")
        }
    };
    find(&package, kind).or_else(|| find(META, kind))
}

pub(crate) const fn structure(
    name: &'static str,
    package: &'static str,
    fields: &'static [Field],
    atomic: bool,
) -> Struct {
    Struct {
        name: Cow::Borrowed(name),
        package: Cow::Borrowed(package),
        fields: Ref::Static(fields),
        preserve_unknown: false,
        atomic,
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one argument per column of the table"
)]
pub(crate) const fn field(
    json: &'static str,
    number: u32,
    via: u32,
    ty: Type,
    go: &'static str,
    pointer: bool,
    omit: Omit,
    required: bool,
    patch: Patch,
) -> Field {
    Field {
        json: Cow::Borrowed(json),
        number,
        via,
        ty,
        go: Cow::Borrowed(go),
        pointer,
        omit,
        required,
        patch,
        default: None,
        values: &[],
    }
}

pub(crate) const fn structured(of: &'static Struct) -> Type {
    Type::Struct(Ref::Static(of))
}

pub(crate) const fn list(item: Type, kind: ListKind) -> List {
    List {
        item,
        kind,
        declared: true,
    }
}

/// A list of which upstream does not say how it merges.
pub(crate) const fn plain_list(item: Type) -> List {
    List {
        item,
        kind: ListKind::Atomic,
        declared: false,
    }
}

pub(crate) const fn map(value: Type, atomic: bool) -> Map {
    Map { value, atomic }
}

pub(crate) const fn keys(keys: &'static [Cow<'static, str>]) -> Ref<[Cow<'static, str>]> {
    Ref::Static(keys)
}
