//! The options of lists, watches, writes and deletes, read from query and body.
//! Rules and words follow apimachinery's pkg/apis/meta/internalversion/validation.

use crate::request::Query;
use crate::stack::Request;
use meta::field::ErrorKind;
use meta::{
    Errors, FieldError, FieldSelector, GroupVersionKind, LabelSelector, Path, Reason, Status, Value,
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
    Selection::new(&*resource.kind, namespace, labels, &fields)
        .map_err(|field| Status::bad_request(format!("field label not supported: {field}")))
}

fn invalid_options(kind: &str, errors: Errors) -> Status {
    Status::invalid(
        &GroupVersionKind::new("meta.k8s.io", "v1", kind),
        "",
        &errors,
    )
}

/// What is wrong with a resourceVersion, in Go's words.
fn not_a_revision(text: &str) -> Errors {
    let quoted = meta::field::quote(text);
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let why = match is_number {
        true => "value out of range",
        false => "invalid syntax",
    };
    let why = format!("strconv.ParseUint: parsing {quoted}: {why}");
    Errors(vec![FieldError::invalid(
        &Path::new("resourceVersion"),
        text,
        why,
    )])
}

/// The revision that a get or a list asks for. Upstream does not make a proper
/// error of this one.
pub fn revision(text: &str) -> Result<Revision, Status> {
    text.parse().map(Revision).map_err(|_| {
        let why = not_a_revision(text).aggregate();
        Status::new(Reason::Unknown, why)
    })
}

fn watch_revision(resource: &Resource, text: &str) -> Result<Revision, Status> {
    text.parse().map(Revision).map_err(|_| {
        let card = resource.card();
        let kind = GroupVersionKind::new(card.group, card.version, card.plural);
        Status::invalid(&kind, "", &not_a_revision(text))
    })
}

/// The options of a list.
pub fn list(resource: &Resource, namespace: &str, query: &Query) -> Result<ListQuery, Status> {
    let version = query.get("resourceVersion");
    let matching = query.get("resourceVersionMatch");
    let continue_token = query.get("continue");
    check_list(query)?;
    let limit = query.integer("limit")?.unwrap_or(0).max(0);
    // A list takes no time, and yet must be able to say how much.
    query.integer("timeoutSeconds")?;
    if !continue_token.is_empty() && !matches!(version, "" | "0") {
        return Err(Status::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
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
        limit: match freshness == Freshness::Any && continue_token.is_empty() {
            true => 0,
            false => limit as usize,
        },
        continue_token: continue_token.into(),
    })
}

/// Collects what is wrong with options.
#[derive(Default)]
struct Complaints(Errors);

impl Complaints {
    fn forbid(&mut self, field: &str, why: &str) {
        let path = Path::new(field);
        self.0
            .push(FieldError::new(ErrorKind::Forbidden, &path, "", why));
    }

    fn unknown_match(&mut self, found: &str, known: &[&str]) {
        let path = Path::new("resourceVersionMatch");
        self.0.push(FieldError::not_supported(&path, found, known));
    }

    fn done(self) -> Result<(), Status> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(invalid_options("ListOptions", self.0)),
        }
    }
}

const MATCH: &str = "resourceVersionMatch";

/// The rules of a list's options, which hold for the deletion of a collection too.
pub fn check_list(query: &Query) -> Result<(), Status> {
    let mut wrong = Complaints::default();
    let (matching, version) = (query.get(MATCH), query.get("resourceVersion"));
    if !matching.is_empty() {
        if version.is_empty() {
            wrong.forbid(
                MATCH,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            );
        }
        if !query.get("continue").is_empty() {
            wrong.forbid(
                MATCH,
                "resourceVersionMatch is forbidden when continue is provided",
            );
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            wrong.unknown_match(matching, &["Exact", "NotOlderThan", ""]);
        }
        if (matching, version) == ("Exact", "0") {
            wrong.forbid(
                MATCH,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            );
        }
    }
    if query.has("sendInitialEvents") {
        wrong.forbid(
            "sendInitialEvents",
            "sendInitialEvents is forbidden for list",
        );
    }
    wrong.done()
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
    check_watch(initial, matching, query)?;
    let start = match (initial, version) {
        (Some(true), "" | "0") => Start::InitialEvents(Revision::ZERO),
        (Some(true), version) => Start::InitialEvents(watch_revision(resource, version)?),
        (Some(false), "" | "0") => Start::Now,
        (_, "") => Start::Everything { fresh: true },
        (_, "0") => Start::Everything { fresh: false },
        (_, version) => Start::After(watch_revision(resource, version)?),
    };
    Ok(WatchQuery {
        selection: selection(resource, namespace, name, query)?,
        start,
        bookmarks: query.is_true("allowWatchBookmarks"),
    })
}

fn check_watch(initial: Option<bool>, matching: &str, query: &Query) -> Result<(), Status> {
    let mut wrong = Complaints::default();
    if initial.is_some() && matching != "NotOlderThan" {
        wrong.forbid(
            MATCH,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
    }
    if !matching.is_empty() {
        if initial.is_none() {
            wrong.forbid(
                MATCH,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
        if matching != "NotOlderThan" {
            wrong.unknown_match(matching, &["NotOlderThan"]);
        }
        if !query.get("continue").is_empty() {
            wrong.forbid(
                MATCH,
                "resourceVersionMatch is forbidden when continue is provided",
            );
        }
    }
    wrong.done()
}

/// How long a watch lives: what the client asks, else half an hour to an hour.
pub fn watch_timeout(query: &Query, rng: &stdx::Rng) -> Result<Duration, Status> {
    Ok(match query.integer("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds as u64),
        _ => Duration::from_secs(rng.range(1800..3600)),
    })
}

/// What the query says of a write: dry run and field manager.
pub fn write(request: &Request) -> Result<Call<'_>, Status> {
    let query = &request.query;
    let invalid = |errors| Err(invalid_options(options_kind(request), errors));
    let mut call = Call::new(&request.user);
    let stages = query.all("dryRun");
    call.dry_run = dry_run(
        stages.filter(|stage| !stage.is_empty()),
        options_kind(request),
    )?;
    let manager = query.get("fieldManager");
    let path = Path::new("fieldManager");
    let mut errors = Errors::new();
    if manager.len() > 128 {
        errors.push(FieldError::too_long(&path, 128));
    }
    if manager.chars().any(char::is_control) {
        errors.push(FieldError::invalid(
            &path,
            manager,
            "should only contain printable characters",
        ));
    }
    if !errors.is_empty() {
        return invalid(errors);
    }
    call.manager = match manager {
        "" => request
            .user_agent()
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

/// Whether nothing is kept; only all of a write can be dry.
fn dry_run<'a>(stages: impl Iterator<Item = &'a str>, kind: &str) -> Result<bool, Status> {
    let stages: Vec<&str> = stages.collect();
    if stages.iter().all(|stage| *stage == "All") {
        return Ok(!stages.is_empty());
    }
    let mut errors = Errors::new();
    let path = Path::new("dryRun");
    errors.push(FieldError::not_supported(&path, stages, &["All"]));
    Err(invalid_options(kind, errors))
}

/// How upstream calls the options of a write.
fn options_kind(request: &Request) -> &'static str {
    match request.info.verb {
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => "CreateOptions",
    }
}

/// `fieldValidation`
pub fn validation(request: &Request) -> Result<Validation, Status> {
    match request.query.get("fieldValidation") {
        "" | "Warn" => Ok(Validation::Warn),
        "Ignore" => Ok(Validation::Ignore),
        "Strict" => Ok(Validation::Strict),
        other => {
            let mut errors = Errors::new();
            let path = Path::new("fieldValidation");
            errors.push(FieldError::not_supported(
                &path,
                other,
                &["", "Ignore", "Strict", "Warn"],
            ));
            Err(invalid_options(options_kind(request), errors))
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
    let stages = body.items_at(&["dryRun"]).iter();
    let stages = stages.map(|stage| stage.as_str().unwrap_or_default());
    call.dry_run |= dry_run(stages, "DeleteOptions")?;
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
