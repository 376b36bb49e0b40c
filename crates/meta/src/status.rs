//! The one shape in which failure leaves the system: `metav1.Status`.
//! Reasons, codes and messages follow apimachinery's pkg/api/errors/errors.go.

use crate::{Errors, GroupResource, GroupVersionKind, Map, Value, value};
use std::fmt;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 406
    NotAcceptable,
    /// 409: the object exists.
    AlreadyExists,
    /// 409: the object changed.
    Conflict,
    /// 410: the continue token or resource version is too old.
    Expired,
    /// 410
    Gone,
    /// 413
    RequestEntityTooLarge,
    /// 415
    UnsupportedMediaType,
    /// 422
    Invalid,
    /// 429
    TooManyRequests,
    /// 500
    InternalError,
    /// 503
    ServiceUnavailable,
    /// 500 or 504: the server could not in time.
    ServerTimeout,
    /// 504
    Timeout,
    /// A reason that only a code carries.
    Unknown,
}

impl Reason {
    /// The `reason` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::BadRequest => "BadRequest",
            Reason::Unauthorized => "Unauthorized",
            Reason::Forbidden => "Forbidden",
            Reason::NotFound => "NotFound",
            Reason::MethodNotAllowed => "MethodNotAllowed",
            Reason::NotAcceptable => "NotAcceptable",
            Reason::AlreadyExists => "AlreadyExists",
            Reason::Conflict => "Conflict",
            Reason::Expired => "Expired",
            Reason::Gone => "Gone",
            Reason::RequestEntityTooLarge => "RequestEntityTooLarge",
            Reason::UnsupportedMediaType => "UnsupportedMediaType",
            Reason::Invalid => "Invalid",
            Reason::TooManyRequests => "TooManyRequests",
            Reason::InternalError => "InternalError",
            Reason::ServiceUnavailable => "ServiceUnavailable",
            Reason::ServerTimeout => "ServerTimeout",
            Reason::Timeout => "Timeout",
            Reason::Unknown => "",
        }
    }

    /// The HTTP code.
    pub fn code(self) -> u16 {
        match self {
            Reason::BadRequest => 400,
            Reason::Unauthorized => 401,
            Reason::Forbidden => 403,
            Reason::NotFound => 404,
            Reason::MethodNotAllowed => 405,
            Reason::NotAcceptable => 406,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Expired | Reason::Gone => 410,
            Reason::RequestEntityTooLarge => 413,
            Reason::UnsupportedMediaType => 415,
            Reason::Invalid => 422,
            Reason::TooManyRequests => 429,
            Reason::InternalError | Reason::ServerTimeout | Reason::Unknown => 500,
            Reason::ServiceUnavailable => 503,
            Reason::Timeout => 504,
        }
    }
}

/// One cause among the details.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// `FieldValueInvalid`, …
    pub reason: String,
    /// For people.
    pub message: String,
    /// The field, may be empty.
    pub field: String,
}

/// A failure as clients see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Why, for programs.
    pub reason: Reason,
    /// The HTTP code.
    pub code: u16,
    /// Why, for people.
    pub message: String,
    /// What it is about.
    pub details: Details,
    /// Where a list can go on all the same; empty for nowhere.
    pub continue_token: String,
}

/// What a failure is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its resource (upstream calls the field `kind`), or its kind.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// What is wrong, piece by piece.
    pub causes: Vec<Cause>,
    /// When to try again, in seconds; 0 for no word of it.
    pub retry_after_seconds: u32,
}

impl Details {
    fn of(resource: &GroupResource, name: &str) -> Self {
        Details {
            name: name.into(),
            group: resource.group.to_string(),
            kind: resource.resource.to_string(),
            ..Details::default()
        }
    }

    fn is_empty(&self) -> bool {
        *self == Details::default()
    }
}

impl Status {
    /// From a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Status {
            reason,
            code: reason.code(),
            message: message.into(),
            details: Details::default(),
            continue_token: String::new(),
        }
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        self.details = Details::of(resource, name);
        self
    }

    /// `pods "x" not found`
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Status::new(Reason::NotFound, format!("{resource} \"{name}\" not found"))
            .about(resource, name)
    }

    /// `the server could not find the requested resource`
    pub fn no_such_path() -> Self {
        Status::new(
            Reason::NotFound,
            "the server could not find the requested resource",
        )
    }

    /// `pods "x" already exists`
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Status::new(
            Reason::AlreadyExists,
            format!("{resource} \"{name}\" already exists"),
        )
        .about(resource, name)
    }

    /// The same for a name that was made: `…, the server was not able to
    /// generate a unique name for the object`
    pub fn generated_name_exists(resource: &GroupResource, name: &str) -> Self {
        let message = format!(
            "{resource} \"{name}\" already exists, the server was not able to generate a unique name for the object"
        );
        Status::new(Reason::AlreadyExists, message)
            .about(resource, name)
            .retry_after(1)
    }

    /// `Operation cannot be fulfilled on pods "x": why`
    pub fn conflict(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        Status::new(
            Reason::Conflict,
            format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}"),
        )
        .about(resource, name)
    }

    /// `pods "x" is forbidden: why`
    pub fn forbidden(resource: &GroupResource, name: &str, why: impl fmt::Display) -> Self {
        let message = match (resource.resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{resource} is forbidden: {why}"),
            (false, false) => format!("{resource} \"{name}\" is forbidden: {why}"),
        };
        Status::new(Reason::Forbidden, message).about(resource, name)
    }

    /// `Pod "x" is invalid: …` with a cause per field.
    pub fn invalid(kind: &GroupVersionKind, name: &str, errors: &Errors) -> Self {
        let group_kind = GroupResource::new(kind.group.clone(), kind.kind.clone());
        let message = format!("{group_kind} \"{name}\" is invalid: {}", errors.aggregate());
        let mut status = Status::new(Reason::Invalid, message).about(&group_kind, name);
        status.details.causes = errors
            .0
            .iter()
            .map(|e| Cause {
                reason: e.kind.reason().into(),
                message: e.body(),
                field: e.field.clone(),
            })
            .collect();
        status
    }

    /// A 400 with this message.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Status::new(Reason::BadRequest, message)
    }

    /// A 401.
    pub fn unauthorized() -> Self {
        Status::new(Reason::Unauthorized, "Unauthorized")
    }

    /// `Internal error occurred: why`
    pub fn internal(why: impl fmt::Display) -> Self {
        let mut status = Status::new(
            Reason::InternalError,
            format!("Internal error occurred: {why}"),
        );
        status.details.causes = vec![Cause {
            reason: String::new(),
            message: why.to_string(),
            field: String::new(),
        }];
        status
    }

    /// The resource does not serve this verb.
    pub fn method_not_allowed(resource: &GroupResource, action: &str) -> Self {
        let message = format!("{action} is not supported on resources of kind \"{resource}\"");
        Status::new(Reason::MethodNotAllowed, message).about(resource, "")
    }

    /// Says when to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.retry_after_seconds = seconds;
        self
    }

    /// Adds a cause.
    pub fn cause(
        mut self,
        reason: &str,
        message: impl Into<String>,
        field: impl Into<String>,
    ) -> Self {
        self.details.causes.push(Cause {
            reason: reason.into(),
            message: message.into(),
            field: field.into(),
        });
        self
    }

    /// As the object that is sent.
    pub fn to_value(&self) -> Value {
        let mut status = value!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message.as_str()
        });
        let map = status.make_object();
        if self.reason != Reason::Unknown {
            map.insert("reason", self.reason.as_str());
        }
        // What upstream's router answers has details that say nothing.
        let is_routers = matches!(self.reason, Reason::NotFound | Reason::MethodNotAllowed);
        if is_routers || !self.details.is_empty() {
            map.insert("details", self.details.to_value());
        }
        if !self.continue_token.is_empty() {
            let metadata = map.object("metadata");
            metadata.insert("continue", self.continue_token.as_str());
        }
        map.insert("code", i64::from(self.code));
        status
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, text) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !text.is_empty() {
                map.insert(key, text.as_str());
            }
        }
        if !self.causes.is_empty() {
            map.insert(
                "causes",
                Value::Array(self.causes.iter().map(Cause::to_value).collect()),
            );
        }
        if self.retry_after_seconds > 0 {
            map.insert("retryAfterSeconds", self.retry_after_seconds);
        }
        Value::Object(map)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (key, text) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !text.is_empty() {
                map.insert(key, text.as_str());
            }
        }
        Value::Object(map)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_found_reads_as_upstream() {
        let status = Status::not_found(&GroupResource::new("apps", "deployments"), "web");
        assert_eq!(
            status.to_value(),
            value!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "deployments.apps \"web\" not found", "reason": "NotFound",
                "details": {"name": "web", "group": "apps", "kind": "deployments"}, "code": 404
            })
        );
    }
}
