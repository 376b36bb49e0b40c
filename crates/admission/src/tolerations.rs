//! Tolerations put together, and which of them makes another needless. Follows
//! pkg/util/tolerations/tolerations.go.

use meta::Value;

/// Two lists as one, without what another toleration includes.
pub(crate) fn merge(first: &[Value], second: &[Value]) -> Vec<Value> {
    let all: Vec<&Value> = first.iter().chain(second).collect();
    let mut merged: Vec<Value> = Vec::new();
    for (i, one) in all.iter().enumerate() {
        let known = merged.iter().any(|other| includes(other, one));
        let later = all[i + 1..]
            .iter()
            .any(|other| other != one && includes(other, one));
        if !known && !later {
            merged.push((*one).clone());
        }
    }
    merged
}

/// Whether whatever `part` tolerates, `whole` tolerates too.
fn includes(whole: &Value, part: &Value) -> bool {
    if whole == part {
        return true;
    }
    let text = |toleration: &Value, key: &str| toleration.str_at(&[key]).to_string();
    let (key, operator, effect) = (
        text(whole, "key"),
        text(whole, "operator"),
        text(whole, "effect"),
    );
    if text(part, "key") != key && !(key.is_empty() && operator == "Exists") {
        return false;
    }
    if text(part, "effect") != effect && !effect.is_empty() {
        return false;
    }
    let seconds = |toleration: &Value| toleration.i64_at(&["tolerationSeconds"]);
    if effect == "NoExecute"
        && let Some(limit) = seconds(whole)
        && seconds(part).is_none_or(|asked| asked > limit)
    {
        return false;
    }
    match operator.as_str() {
        "" | "Equal" => {
            matches!(part.str_at(&["operator"]), "" | "Equal")
                && text(part, "value") == text(whole, "value")
        }
        "Exists" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn what_another_includes_goes() {
        let all = value!({"operator": "Exists"});
        let foo = value!({"key": "foo", "operator": "Exists", "effect": "NoExecute"});
        let foo_bar =
            value!({"key": "foo", "operator": "Equal", "value": "bar", "effect": "NoExecute"});
        let brief = value!({"key": "foo", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10});
        let long = value!({"key": "foo", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20});
        let other = value!({"key": "other", "operator": "Exists"});
        let cases: [(&[&Value], &[&Value], &[&Value]); 6] = [
            (&[&foo], &[&other], &[&foo, &other]),
            (&[&foo_bar], &[&foo], &[&foo]),
            (&[&foo], &[&foo_bar], &[&foo]),
            (&[&foo, &other], &[&all], &[&all]),
            (&[&brief], &[&long, &brief], &[&long]),
            (&[&foo], &[&foo], &[&foo]),
        ];
        for (first, second, wanted) in cases {
            let own = |list: &[&Value]| list.iter().map(|v| (*v).clone()).collect::<Vec<_>>();
            assert_eq!(merge(&own(first), &own(second)), own(wanted));
        }
    }
}
