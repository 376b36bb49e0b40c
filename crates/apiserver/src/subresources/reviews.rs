//! The reviews: questions that are answered and not kept. Follows
//! pkg/registry/authorization and pkg/registry/authentication.

use crate::server::Server;
use crate::stack::Request;
use auth::{Attributes, Credentials, Decision, Target, User};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meta::object::Object as _;
use meta::{Errors, Field, Map, Status, Value, value};
use registry::Resource;
use std::sync::Arc;

pub(super) async fn answer(
    server: &Arc<Server>,
    resource: &Resource,
    request: &Request,
    mut object: Value,
) -> Result<Value, Status> {
    let card = resource.card();
    let mut errors = Errors::new();
    resource.kind.validate(&Field::root(&object), &mut errors);
    if !errors.is_empty() {
        return Err(Status::invalid(&card.gvk(), object.name(), &errors));
    }
    let status = match card.kind {
        "SelfSubjectAccessReview" => access(server, &request.user, &object),
        "SubjectAccessReview" => access(server, &subject(&object), &object),
        "LocalSubjectAccessReview" => {
            let asked = object.str_at(&["spec", "resourceAttributes", "namespace"]);
            if asked != request.info.namespace {
                return Err(Status::bad_request(format!(
                    "spec.resourceAttributes.namespace must match namespace: {}",
                    request.info.namespace
                )));
            }
            access(server, &subject(&object), &object)
        }
        "SelfSubjectRulesReview" => {
            rules(server, &request.user, object.str_at(&["spec", "namespace"]))
        }
        "SelfSubjectReview" => value!({"userInfo": user_info(&request.user)}),
        "TokenReview" => token(server, &object).await?,
        other => return Err(Status::bad_request(format!("{other} cannot be reviewed"))),
    };
    object.make_object().insert("status", status);
    if card.kind == "SelfSubjectReview" {
        object.make_object().object("metadata").insert(
            "creationTimestamp",
            meta::time::seconds(server.registry.clock().wall()),
        );
    }
    codec::complete(&mut object, &card.schema);
    Ok(object)
}

fn subject(object: &Value) -> User {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let texts = |value: &[Value]| {
        value
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_string)
            .collect()
    };
    let extra = spec.get("extra").and_then(Value::as_object);
    User {
        name: spec.str_at(&["user"]).into(),
        uid: spec.str_at(&["uid"]).into(),
        groups: texts(spec.items_at(&["groups"])),
        extra: extra
            .into_iter()
            .flat_map(|m| m.iter())
            .map(|(k, v)| (k.to_string(), texts(v.as_array().unwrap_or_default())))
            .collect(),
    }
}

fn access(server: &Server, user: &User, object: &Value) -> Value {
    let resource = object.at(&["spec", "resourceAttributes"]);
    let path = object.at(&["spec", "nonResourceAttributes"]);
    let target = match (resource, path) {
        (Some(r), _) => Target::Resource {
            group: r.str_at(&["group"]),
            version: r.str_at(&["version"]),
            resource: r.str_at(&["resource"]),
            subresource: r.str_at(&["subresource"]),
            namespace: r.str_at(&["namespace"]),
            name: r.str_at(&["name"]),
        },
        (None, path) => Target::Path(path.map(|p| p.str_at(&["path"])).unwrap_or_default()),
    };
    let verb = resource
        .or(path)
        .map(|a| a.str_at(&["verb"]))
        .unwrap_or_default();
    let mut status = Map::new();
    let (allowed, denied, why) =
        match server
            .authorizer
            .authorize(&Attributes { user, verb, target })
        {
            Decision::Allow(why) => (true, false, why),
            Decision::Deny(why) => (false, true, why),
            Decision::NoOpinion(why) => (false, false, why),
        };
    status.insert("allowed", allowed);
    if denied {
        status.insert("denied", true);
    }
    if !why.is_empty() {
        status.insert("reason", why);
    }
    Value::Object(status)
}

fn rules(server: &Server, user: &User, namespace: &str) -> Value {
    let (resource, path, incomplete, error) = server.authorizer.rules(user, namespace).into_parts();
    let mut status = value!({
        "resourceRules": Value::Array(resource), "nonResourceRules": Value::Array(path), "incomplete": incomplete
    });
    if !error.is_empty() {
        status.set_at(&["evaluationError"], error);
    }
    status
}

fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    for (key, text) in [("username", &user.name), ("uid", &user.uid)] {
        if !text.is_empty() {
            info.insert(key, text.as_str());
        }
    }
    if !user.groups.is_empty() {
        info.insert("groups", user.groups.clone());
    }
    if !user.extra.is_empty() {
        let extra: Map = user
            .extra
            .iter()
            .map(|(k, v)| (k.as_str(), v.clone()))
            .collect();
        info.insert("extra", extra);
    }
    Value::Object(info)
}

/// Whose token it is. Follows pkg/registry/authentication/tokenreview/storage.go.
async fn token(server: &Server, object: &Value) -> Result<Value, Status> {
    if object.str_at(&["spec", "token"]).is_empty() {
        let why = "token is required for TokenReview in authentication";
        return Err(Status::bad_request(why));
    }
    let asked: Vec<String> = object
        .items_at(&["spec", "audiences"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_string)
        .collect();
    let bearer = Some(object.str_at(&["spec", "token"]));
    let credentials = Credentials {
        bearer,
        certificates: &[],
        audiences: &asked,
    };
    Ok(
        match server.authenticator.authenticate(&credentials).await {
            Ok(Some(user)) => {
                let wanted = match asked.is_empty() {
                    true => server.tokens.default_audiences(),
                    false => asked,
                };
                let audiences = held(wanted, bearer.and_then(audiences_of));
                value!({"authenticated": true, "user": user_info(&user), "audiences": audiences})
            }
            Ok(None) => value!({"user": {}, "error": "invalid bearer token"}),
            Err(rejected) => value!({"user": {}, "error": rejected.to_string()}),
        },
    )
}

/// Of the audiences that were asked for, those that the token is made for. A
/// token that names none is for the API server itself.
fn held(wanted: Vec<String>, of_token: Option<Vec<String>>) -> Vec<String> {
    match of_token {
        None => wanted,
        Some(own) => wanted.into_iter().filter(|a| own.contains(a)).collect(),
    }
}

/// The audiences that a token names, when it is a JWT. Whether it may be
/// believed has been found out before.
fn audiences_of(token: &str) -> Option<Vec<String>> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims = codec::json::parse_value(&payload).ok()?;
    let audiences = claims.get("aud")?;
    let all = match audiences.as_str() {
        Some(one) => vec![one.to_string()],
        None => {
            let texts = audiences.as_array()?.iter().filter_map(Value::as_str);
            texts.map(str::to_string).collect()
        }
    };
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, wanted: &[&str], audiences: &[&str]) {
        let wanted = wanted.iter().map(ToString::to_string).collect();
        assert_eq!(held(wanted, audiences_of(token)), audiences, "{token}");
    }

    #[test]
    fn a_review_names_the_audiences_that_were_asked_for_and_are_the_tokens() {
        let jwt = |claims: &str| format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims));
        let two = jwt("{\"aud\":[\"a\",\"b\"]}");
        check(&two, &["b", "c"], &["b"]);
        check(&two, &["b", "a"], &["b", "a"]);
        check(&jwt("{\"aud\":\"a\"}"), &["a", "c"], &["a"]);
        check("secret", &["api"], &["api"]);
        check("a.b.c", &["api"], &["api"]);
    }
}
