//! What an Event may hold: little through the core group, more through
//! events.k8s.io. Follows pkg/apis/core/validation/events.go.

use crate::check;
use crate::metadata::immutable;
use meta::{Errors, Field, FieldError, Path, names};

const LENGTH_MAX: usize = 128;
const NOTE_MAX: usize = 1024;

/// Through which group an event comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// v1
    Core,
    /// events.k8s.io/v1
    Events,
}

/// What is wrong with a new event, in its core form.
pub(crate) fn create(event: &Field<'_>, through: Through, errors: &mut Errors) {
    common(event, through, errors);
    if through == Through::Core {
        return;
    }
    series(&event.get("series"), errors);
    check::required(&event.get("eventTime"), errors);
    let ty = event.get("type");
    if !matches!(ty.str(), "Normal" | "Warning") {
        let detail = format!("has invalid value: {}", ty.str());
        errors.push(FieldError::invalid(&ty.path, "", detail));
    }
    for key in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let field = event.get(key);
        if !field.is_empty() {
            errors.push(FieldError::invalid(&field.path, "", "needs to be unset"));
        }
    }
}

/// What is wrong with a change of an event, in its core form.
pub(crate) fn update(event: &Field<'_>, old: &Field<'_>, through: Through, errors: &mut Errors) {
    common(event, through, errors);
    if through == Through::Core {
        return;
    }
    if event.get("series").value != old.get("series").value {
        series(&event.get("series"), errors);
    }
    for key in [
        "involvedObject",
        "reason",
        "reportingComponent",
        "reportingInstance",
        "action",
        "type",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "eventTime",
    ] {
        let name = match key {
            "reportingComponent" => "reportingController",
            key => key,
        };
        let field = Field::new(event.path.child(name), event.get(key).value);
        immutable(&field, &old.get(key), errors);
    }
}

fn series(series: &Field<'_>, errors: &mut Errors) {
    if !series.is_present() {
        return;
    }
    if series.get("count").int() < 2 {
        let path = series.get("count").path;
        errors.push(FieldError::invalid(&path, "", "should be at least 2"));
    }
    check::required(&series.get("lastObservedTime"), errors);
}

fn common(event: &Field<'_>, through: Through, errors: &mut Errors) {
    let namespace = event.at(&["metadata", "namespace"]);
    let about = event.at(&["involvedObject", "namespace"]);
    let is_new = !event.get("eventTime").is_empty();
    let agrees = match (about.str(), is_new) {
        ("", false) => matches!(namespace.str(), "" | "default"),
        ("", true) => matches!(namespace.str(), "default" | "kube-system"),
        (about, false) => about == namespace.str(),
        (_, true) => true,
    };
    if !agrees {
        let detail = "does not match event.namespace";
        errors.push(FieldError::invalid(&about.path, about.str(), detail));
    }
    if is_new {
        reporter(event, through, errors);
    }
    for detail in names::dns1123_subdomain(namespace.str()) {
        let path = Path::new("namespace");
        errors.push(FieldError::invalid(&path, namespace.str(), detail));
    }
}

/// What an event that says when it happened says besides.
fn reporter(event: &Field<'_>, through: Through, errors: &mut Errors) {
    let component = event.get("reportingComponent");
    let name = match through {
        Through::Core => "reportingComponent",
        Through::Events => "reportingController",
    };
    let component = Field::new(event.path.child(name), component.value);
    check::required(&component, errors);
    for detail in names::qualified_name(component.str()) {
        errors.push(FieldError::invalid(
            &component.path,
            component.str(),
            detail,
        ));
    }
    for key in ["reportingInstance", "action", "reason"] {
        check::required(&event.get(key), errors);
        at_most(&event.get(key), LENGTH_MAX, errors);
    }
    at_most(&event.get("message"), NOTE_MAX, errors);
}

fn at_most(field: &Field<'_>, max: usize, errors: &mut Errors) {
    if field.str().len() > max {
        let detail = format!("can have at most {max} characters");
        errors.push(FieldError::invalid(&field.path, "", detail));
    }
}
