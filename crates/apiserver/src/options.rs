//! The options of lists, watches, writes and deletes, read from query and body.
//! Rules and words follow apimachinery's pkg/apis/meta/internalversion/validation.

use crate::request::Query;
use meta::field::ErrorKind;
use meta::{
    Errors, FieldError, FieldSelector, GroupVersionKind, LabelSelector, Path, Status, Value,
};
use registry::{
    Call, DeleteOptions, Freshness, ListQuery, Propagation, Resource, Selection, Start, Validation,
    WatchQuery,
};
use std::time::Duration;
use store::Revision;

/// Which objects a list or watch means.
pub fn selection(
    resource: &Resource,
    namespace: &str,
    name: &str,
    query: &Query,
) -> Result<Selection, Status> {
    let labels = LabelSelector::parse(query.get("labelSelector"))
        .map_err(|why| Status::bad_request(format!("unable to parse requirement: {why}")))?;
    let mut fields =
        FieldSelector::parse(query.get("fieldSelector")).map_err(Status::bad_request)?;
    if !name.is_empty() {
        fields
            .terms
            .push(("metadata.name".into(), name.into(), true));
    }
    Selection::new(&*resource.kind, namespace, labels, &fields).map_err(|field| {
        let version = resource.card().group_version();
        let kind = resource.card().kind;
        let _ = (version, kind);
        Status::bad_request(format!("field label not supported: {field}"))
    })
}

fn invalid_options(kind: &str, errors: Errors) -> Status {
    Status::invalid(
        &GroupVersionKind::new("meta.k8s.io", "v1", kind),
        "",
        &errors,
    )
}

fn forbidden(field: &str, why: &str) -> Errors {
    let mut errors = Errors::new();
    errors.push(FieldError::new(
        ErrorKind::Forbidden,
        &Path::new(field),
        "",
        why,
    ));
    errors
}

fn revision(text: &str) -> Result<Revision, Status> {
    text.parse().map(Revision).map_err(|_| {
        let mut errors = Errors::new();
        let why =
            "resource version must be a valid integer: strconv.ParseUint: parsing: invalid syntax";
        errors.push(FieldError::invalid(
            &Path::new("resourceVersion"),
            text,
            why,
        ));
        invalid_options("ListOptions", errors)
    })
}

/// The options of a list.
pub fn list(resource: &Resource, namespace: &str, query: &Query) -> Result<ListQuery, Status> {
    let version = query.get("resourceVersion");
    let matching = query.get("resourceVersionMatch");
    let continue_token = query.get("continue");
    if query.has("sendInitialEvents") {
        return Err(invalid_options(
            "ListOptions",
            forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ),
        ));
    }
    check_match(version, matching, continue_token)?;
    if !continue_token.is_empty() && !version.is_empty() && version != "0" {
        return Err(Status::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    let limit = query.integer("limit")?.unwrap_or(0);
    if limit < 0 {
        let mut errors = Errors::new();
        errors.push(FieldError::invalid(
            &Path::new("limit"),
            limit,
            "must be greater than or equal to 0",
        ));
        return Err(invalid_options("ListOptions", errors));
    }
    let freshness = match (version, matching) {
        ("", _) => Freshness::MostRecent,
        ("0", _) => Freshness::Any,
        (version, "Exact") => Freshness::Exact(revision(version)?),
        (version, "") if limit > 0 => Freshness::Exact(revision(version)?),
        (version, _) => Freshness::NotOlderThan(revision(version)?),
    };
    Ok(ListQuery {
        selection: selection(resource, namespace, "", query)?,
        freshness,
        // As upstream's cache does, a list of whatever is at hand is whole.
        limit: if freshness == Freshness::Any && continue_token.is_empty() {
            0
        } else {
            limit as usize
        },
        continue_token: continue_token.into(),
    })
}

fn check_match(version: &str, matching: &str, continue_token: &str) -> Result<(), Status> {
    let why = match (matching, version) {
        ("", _) => return Ok(()),
        (_, "") => "resourceVersionMatch is forbidden unless resourceVersion is provided",
        _ if !continue_token.is_empty() => {
            "resourceVersionMatch is forbidden when continue is provided"
        }
        ("Exact", "0") => "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ("Exact" | "NotOlderThan", _) => return Ok(()),
        (other, _) => {
            let mut errors = Errors::new();
            let path = Path::new("resourceVersionMatch");
            errors.push(FieldError::not_supported(
                &path,
                other,
                &["Exact", "NotOlderThan", ""],
            ));
            return Err(invalid_options("ListOptions", errors));
        }
    };
    Err(invalid_options(
        "ListOptions",
        forbidden("resourceVersionMatch", why),
    ))
}

/// The options of a watch.
pub fn watch(
    resource: &Resource,
    namespace: &str,
    name: &str,
    query: &Query,
) -> Result<WatchQuery, Status> {
    let version = query.get("resourceVersion");
    let matching = query.get("resourceVersionMatch");
    let initial = query
        .has("sendInitialEvents")
        .then(|| query.is_true("sendInitialEvents"));
    check_initial(initial, matching)?;
    let start = match (initial, version) {
        (Some(true), "" | "0") => Start::InitialEvents(Revision::ZERO),
        (Some(true), version) => Start::InitialEvents(revision(version)?),
        (Some(false), "" | "0") => Start::Now,
        (_, "" | "0") => Start::Everything,
        (_, version) => Start::After(revision(version)?),
    };
    Ok(WatchQuery {
        selection: selection(resource, namespace, name, query)?,
        start,
        bookmarks: query.is_true("allowWatchBookmarks"),
    })
}

fn check_initial(initial: Option<bool>, matching: &str) -> Result<(), Status> {
    let (field, why) = match (initial, matching) {
        (None, "") | (Some(_), "NotOlderThan") => return Ok(()),
        (None, _) => (
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (Some(_), _) => (
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    };
    Err(invalid_options("ListOptions", forbidden(field, why)))
}

/// How long a watch lives: what the client asks, else half an hour to an hour.
pub fn watch_timeout(query: &Query, rng: &stdx::Rng) -> Result<Duration, Status> {
    Ok(match query.integer("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds as u64),
        _ => Duration::from_secs(rng.range(1800..3600)),
    })
}

/// What the query says of a write: dry run and field manager.
pub fn write<'a>(
    user: &'a auth::User,
    query: &Query,
    user_agent: &str,
) -> Result<Call<'a>, Status> {
    let mut call = Call::new(user);
    for value in query.all("dryRun") {
        match value {
            "All" => call.dry_run = true,
            "" => {}
            other => {
                let mut errors = Errors::new();
                errors.push(FieldError::not_supported(
                    &Path::new("dryRun"),
                    vec![other],
                    &["All"],
                ));
                return Err(invalid_options("CreateOptions", errors));
            }
        }
    }
    let manager = query.get("fieldManager");
    if manager.len() > 128 {
        let mut errors = Errors::new();
        errors.push(FieldError::too_long(&Path::new("fieldManager"), 128));
        return Err(invalid_options("CreateOptions", errors));
    }
    call.manager = match manager {
        "" => user_agent
            .split('/')
            .next()
            .unwrap_or_default()
            .chars()
            .take(128)
            .collect(),
        manager => manager.into(),
    };
    Ok(call)
}

/// `fieldValidation`
pub fn validation(query: &Query) -> Result<Validation, Status> {
    match query.get("fieldValidation") {
        "" | "Warn" => Ok(Validation::Warn),
        "Ignore" => Ok(Validation::Ignore),
        "Strict" => Ok(Validation::Strict),
        other => {
            let mut errors = Errors::new();
            let path = Path::new("fieldValidation");
            errors.push(FieldError::not_supported(
                &path,
                other,
                &["Ignore", "Strict", "Warn"],
            ));
            Err(invalid_options("CreateOptions", errors))
        }
    }
}

/// The options of a delete, from the body and, where that is silent, the query.
pub fn delete(
    query: &Query,
    body: Option<&Value>,
    call: &mut Call<'_>,
) -> Result<DeleteOptions, Status> {
    let empty = Value::object();
    let body = body.unwrap_or(&empty);
    if body
        .items_at(&["dryRun"])
        .iter()
        .any(|v| v.as_str() == Some("All"))
    {
        call.dry_run = true;
    }
    let text = |key: &str| match body.str_at(&[key]) {
        "" => query.get(key).to_string(),
        text => text.to_string(),
    };
    let grace = match body.i64_at(&["gracePeriodSeconds"]) {
        Some(seconds) => Some(seconds),
        None => query.integer("gracePeriodSeconds")?,
    };
    let orphan = body.at(&["orphanDependents"]).and_then(Value::as_bool);
    let orphan = orphan.or_else(|| {
        query
            .has("orphanDependents")
            .then(|| query.is_true("orphanDependents"))
    });
    let policy = text("propagationPolicy");
    let propagation = propagation(&policy, orphan)?;
    let precondition = |key: &str| {
        body.at(&["preconditions", key])
            .and_then(Value::as_str)
            .map(str::to_string)
    };
    Ok(DeleteOptions {
        grace_period_seconds: grace.map(|seconds| seconds.max(if seconds < 0 { 1 } else { 0 })),
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        propagation,
    })
}

fn propagation(policy: &str, orphan: Option<bool>) -> Result<Option<Propagation>, Status> {
    let mut errors = Errors::new();
    if !policy.is_empty() && orphan.is_some() {
        let path = Path::new("propagationPolicy");
        errors.push(FieldError::invalid(
            &path,
            policy,
            "orphanDependents and deletionPropagation cannot be both set",
        ));
        return Err(invalid_options("DeleteOptions", errors));
    }
    Ok(match (policy, orphan) {
        ("Orphan", _) | ("", Some(true)) => Some(Propagation::Orphan),
        ("Background", _) | ("", Some(false)) => Some(Propagation::Background),
        ("Foreground", _) => Some(Propagation::Foreground),
        ("", None) => None,
        (other, _) => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported(
                &Path::new("propagationPolicy"),
                other,
                &known,
            ));
            return Err(invalid_options("DeleteOptions", errors));
        }
    })
}
