//! As whom a request is to be served, when that is somebody else than who sends it.
//!
//! Follows client-go's transport/round_trippers.go and tools/clientcmd/validation.go.

use super::resolve::{pick, text};
use crate::error::{Result, said};
use crate::globals::Globals;
use http::HeaderName;
use meta::{Map, Value};
use std::collections::BTreeMap;

/// The headers that say so. Options go before what the kubeconfig says of the user.
pub(super) fn headers(
    name: &str,
    user: &Value,
    globals: &Globals,
) -> Result<Vec<(HeaderName, String)>> {
    let other = pick(&globals.as_user, user.str_at(&["as"]));
    let uid = globals.as_uid.clone().or_else(|| text(user, "as-uid"));
    let groups = match globals.as_group.is_empty() {
        true => texts(user.items_at(&["as-groups"])),
        false => globals.as_group.clone(),
    };
    let extras = extras(user, globals)?;
    let mut headers = Vec::new();
    let is_more = uid.is_some() || !groups.is_empty() || !extras.is_empty();
    if other.is_empty() {
        return match is_more {
            true => said(format!(
                "requesting uid, groups or user-extra for {name} without impersonating a user"
            )),
            false => Ok(headers),
        };
    }
    headers.push((HeaderName::from_static("impersonate-user"), other));
    headers.extend(uid.map(|uid| (HeaderName::from_static("impersonate-uid"), uid)));
    let group = |group| (HeaderName::from_static("impersonate-group"), group);
    headers.extend(groups.into_iter().map(group));
    for (key, values) in extras {
        let name = extra_name(&key)?;
        headers.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    Ok(headers)
}

/// What else is said of that user. An option replaces the kubeconfig's values of its key.
fn extras(user: &Value, globals: &Globals) -> Result<BTreeMap<String, Vec<String>>> {
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in &globals.as_user_extra {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return said(format!(
                "invalid --as-user-extra {pair:?}: it must be a key, = and a value"
            ));
        };
        asked.entry(key.into()).or_default().push(value.into());
    }
    let known = user.get("as-user-extra").and_then(Value::as_object);
    for (key, values) in known.into_iter().flat_map(Map::iter) {
        let values = || texts(values.as_array().unwrap_or_default());
        asked.entry(key.to_string()).or_insert_with(values);
    }
    Ok(asked)
}

fn texts(items: &[Value]) -> Vec<String> {
    let texts = items.iter().filter_map(Value::as_str);
    texts.map(str::to_string).collect()
}

/// A key as part of a header's name: what may not stand there is written as in URLs.
fn extra_name(key: &str) -> Result<HeaderName> {
    let mut name = String::from("impersonate-extra-");
    for byte in key.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => name.push(char::from(byte)),
            byte if b"!#$&'*+-.^_`|~".contains(&byte) => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderName::from_bytes(name.as_bytes())
        .or_else(|_| said(format!("{key:?} cannot stand in a header's name")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn check(user: Value, globals: Globals, want: &str) {
        let headers = match headers("anna", &user, &globals) {
            Ok(headers) => headers,
            Err(error) => return assert_eq!(error.to_string(), want),
        };
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        assert_eq!(lines.collect::<Vec<_>>().join("\n"), want);
    }

    fn user() -> Value {
        value!({
            "as": "eve", "as-uid": "7", "as-groups": ["g"],
            "as-user-extra": {"example.org/Team": ["a", "b"], "scope": ["view"]}
        })
    }

    #[test]
    fn the_kubeconfig_says_who() {
        check(
            user(),
            Globals::default(),
            "impersonate-user: eve\nimpersonate-uid: 7\nimpersonate-group: g\n\
             impersonate-extra-example.org%2fteam: a\nimpersonate-extra-example.org%2fteam: b\n\
             impersonate-extra-scope: view",
        );
        check(value!({}), Globals::default(), "");
    }

    #[test]
    fn options_go_before_it() {
        let globals = Globals {
            as_user: Some("bob".into()),
            as_group: vec!["h".into(), "i".into()],
            as_user_extra: vec!["scope=edit".into(), "scope=a=b".into(), "new=".into()],
            ..Globals::default()
        };
        check(
            user(),
            globals,
            "impersonate-user: bob\nimpersonate-uid: 7\nimpersonate-group: h\n\
             impersonate-group: i\nimpersonate-extra-example.org%2fteam: a\n\
             impersonate-extra-example.org%2fteam: b\nimpersonate-extra-new: \n\
             impersonate-extra-scope: edit\nimpersonate-extra-scope: a=b",
        );
    }

    #[test]
    fn what_says_nothing_is_refused() {
        let without = "requesting uid, groups or user-extra for anna without impersonating a user";
        let extra = |text: &str| Globals {
            as_user_extra: vec![text.into()],
            ..Globals::default()
        };
        check(value!({}), extra("a=b"), without);
        check(value!({"as-groups": ["g"]}), Globals::default(), without);
        check(
            user(),
            extra("scope"),
            "invalid --as-user-extra \"scope\": it must be a key, = and a value",
        );
    }
}
