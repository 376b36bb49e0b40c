//! Acting as somebody else, for those who may: the `Impersonate-*` headers.
//! Follows apiserver's pkg/endpoints/filters/impersonation.go.

use crate::server::Server;
use crate::stack::forbidden;
use auth::user::{AUTHENTICATED, UNAUTHENTICATED};
use auth::{Attributes, Decision, Target, User};
use http::HeaderMap;
use meta::Status;

/// The user as whom the request is served.
pub(crate) fn apply(server: &Server, user: User, headers: &HeaderMap) -> Result<User, Status> {
    let all = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let (names, groups, uids) = (
        all("impersonate-user"),
        all("impersonate-group"),
        all("impersonate-uid"),
    );
    let extra: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix("impersonate-extra-")?;
            Some((percent_decode(key), value.to_str().ok()?.to_string()))
        })
        .collect();
    let Some(name) = names.into_iter().next() else {
        if groups.is_empty() && uids.is_empty() && extra.is_empty() {
            return Ok(user);
        }
        return Err(Status::internal(format!(
            "requested {} without impersonating a user name",
            groups
                .first()
                .or(uids.first())
                .map(String::as_str)
                .unwrap_or("extra")
        )));
    };
    let mut other = match name
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, account)) => {
            may(server, &user, "serviceaccounts", "", namespace, account)?;
            let mut other = User::service_account(namespace, account);
            if !groups.is_empty() {
                other.groups.clear();
            }
            other
        }
        None => {
            may(server, &user, "users", "", "", &name)?;
            User::new(name, &[])
        }
    };
    for group in groups {
        may(server, &user, "groups", "", "", &group)?;
        other.groups.push(group);
    }
    for (key, value) in extra {
        may_extra(server, &user, &key, &value)?;
        other.extra.entry(key).or_default().push(value);
    }
    if let Some(uid) = uids.into_iter().next() {
        may_in(server, &user, "authentication.k8s.io", "uids", "", "", &uid)?;
        other.uid = uid;
    }
    let anonymous = other.name == auth::user::ANONYMOUS;
    let group = if anonymous {
        UNAUTHENTICATED
    } else {
        AUTHENTICATED
    };
    if !other.is_in(AUTHENTICATED) && !other.is_in(UNAUTHENTICATED) {
        other.groups.push(group.into());
    }
    Ok(other)
}

fn may(
    server: &Server,
    user: &User,
    resource: &str,
    sub: &str,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    may_in(server, user, "", resource, sub, namespace, name)
}

fn may_extra(server: &Server, user: &User, key: &str, value: &str) -> Result<(), Status> {
    may_in(
        server,
        user,
        "authentication.k8s.io",
        "userextras",
        key,
        "",
        value,
    )
}

fn may_in(
    server: &Server,
    user: &User,
    group: &str,
    resource: &str,
    subresource: &str,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    let target = Target::Resource {
        group,
        version: "v1",
        resource,
        subresource,
        namespace,
        name,
    };
    let attributes = Attributes {
        user,
        verb: "impersonate",
        target,
    };
    match server.authorizer.authorize(&attributes) {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(why) | Decision::NoOpinion(why) => Err(forbidden(&attributes, &why)),
    }
}

fn percent_decode(text: &str) -> String {
    let escaped = text.replace('+', "%2B");
    form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map(|(key, _)| key.into_owned())
        .unwrap_or_default()
}
