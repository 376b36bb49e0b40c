//! What a caller may ask for besides the object itself.

use serde_json::Value;
use typed::meta;

/// Which objects to list or watch, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only objects with these labels.
    pub label_selector: Option<String>,
    /// Only objects with these fields.
    pub field_selector: Option<String>,
    /// At most so many at once.
    pub limit: Option<u32>,
    /// Where the previous page ended.
    pub continue_token: Option<String>,
    /// The resource version to read at, or to watch from.
    pub resource_version: Option<String>,
    /// How the resource version is meant: `Exact` or `NotOlderThan`.
    pub resource_version_match: Option<&'static str>,
    /// When the server shall end a watch.
    pub timeout_seconds: Option<u32>,
    /// Whether a watch sends bookmarks.
    pub allow_watch_bookmarks: bool,
    /// Whether a watch begins with the present objects.
    pub send_initial_events: bool,
}

impl ListOptions {
    /// Only objects with these labels.
    pub fn labels(selector: impl Into<String>) -> Self {
        Self {
            label_selector: Some(selector.into()),
            ..Self::default()
        }
    }

    /// Only objects with these fields.
    pub fn fields(selector: impl Into<String>) -> Self {
        Self {
            field_selector: Some(selector.into()),
            ..Self::default()
        }
    }

    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let flag = |set: bool| set.then(|| "true".to_owned());
        let pairs = [
            (
                "labelSelector",
                self.label_selector.clone().filter(|text| !text.is_empty()),
            ),
            (
                "fieldSelector",
                self.field_selector.clone().filter(|text| !text.is_empty()),
            ),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("continue", self.continue_token.clone()),
            ("resourceVersion", self.resource_version.clone()),
            (
                "resourceVersionMatch",
                self.resource_version_match.map(str::to_owned),
            ),
            (
                "timeoutSeconds",
                self.timeout_seconds.map(|seconds| seconds.to_string()),
            ),
            ("allowWatchBookmarks", flag(self.allow_watch_bookmarks)),
            ("sendInitialEvents", flag(self.send_initial_events)),
        ];
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Options of create, replace and patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Who owns the fields that are written.
    pub field_manager: Option<String>,
    /// Only see whether it would work.
    pub dry_run: bool,
    /// `Ignore`, `Warn` or `Strict`.
    pub field_validation: Option<&'static str>,
}

impl WriteOptions {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("fieldManager", self.field_manager.clone()),
            ("dryRun", self.dry_run.then(|| "All".to_owned())),
            ("fieldValidation", self.field_validation.map(str::to_owned)),
        ];
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// A change to an object, in one of the four languages of the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 6902.
    Json(Value),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own, which knows the keys of lists.
    Strategic(Value),
    /// Server-side apply.
    Apply {
        /// The fields that shall be so.
        object: Value,
        /// Who wants them so.
        field_manager: String,
        /// Take fields over from other managers.
        force: bool,
    },
}

impl Patch {
    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json-patch+json",
            Self::Merge(_) => "application/merge-patch+json",
            Self::Strategic(_) => "application/strategic-merge-patch+json",
            Self::Apply { .. } => "application/apply-patch+yaml",
        }
    }

    pub(crate) fn document(&self) -> &Value {
        match self {
            Self::Json(value) | Self::Merge(value) | Self::Strategic(value) => value,
            Self::Apply { object, .. } => object,
        }
    }

    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Apply {
                field_manager,
                force,
                ..
            } => {
                vec![
                    ("fieldManager", field_manager.clone()),
                    ("force", force.to_string()),
                ]
            }
            _ => Vec::new(),
        }
    }
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They lose this owner and stay.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

impl Propagation {
    /// The spelling on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "Orphan",
            Self::Background => "Background",
            Self::Foreground => "Foreground",
        }
    }
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only if the object still has this uid.
    pub uid: Option<String>,
    /// Only if the object still is of this resource version.
    pub resource_version: Option<String>,
    /// What happens to dependents; the kind's default if unset.
    pub propagation: Option<Propagation>,
    /// How long the object may take to end; the kind's default if unset.
    pub grace_period_seconds: Option<i64>,
    /// Only see whether it would work.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Deletes only the object with this uid.
    pub fn uid(uid: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            ..Self::default()
        }
    }

    pub(crate) fn to_wire(&self) -> meta::DeleteOptions {
        let conditional = self.uid.is_some() || self.resource_version.is_some();
        meta::DeleteOptions {
            api_version: Some("v1".to_owned()),
            kind: Some("DeleteOptions".to_owned()),
            dry_run: self.dry_run.then(|| vec!["All".to_owned()]),
            grace_period_seconds: self.grace_period_seconds,
            preconditions: conditional.then(|| meta::Preconditions {
                uid: self.uid.clone(),
                resource_version: self.resource_version.clone(),
            }),
            propagation_policy: self.propagation.map(|policy| policy.as_str().to_owned()),
            ..Default::default()
        }
    }
}
