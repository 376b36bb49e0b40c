//! Changes of a pod's specification, or of the template that pods are made from.

use crate::error::{Result, said};
use meta::Value;
#[cfg(test)]
use meta::value;

/// The specification of an object's pods.
pub(super) fn spec(object: &mut Value) -> Result<&mut Value> {
    let path: &[&str] = match object.str_at(&["kind"]) {
        "Pod" => &["spec"],
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    };
    let kind = object.str_at(&["kind"]).to_string();
    match object.at_mut(path) {
        Some(spec) => Ok(spec),
        None => said(format!(
            "the object is not a pod or does not have a pod template: {kind}"
        )),
    }
}

/// Changes the containers whose names fit a pattern; says how many they are.
pub(super) fn each_container(
    spec: &mut Value,
    lists: &[&str],
    pattern: &str,
    mut change: impl FnMut(&mut Value) -> Result,
) -> Result<usize> {
    let mut count = 0;
    for list in lists {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        for container in containers {
            if matches(pattern, container.str_at(&["name"])) {
                change(container)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// A name, or a pattern with one `*`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
        }
    }
}

/// Gives containers images: `name=image`.
pub(super) fn images(object: &mut Value, pairs: &[String]) -> Result {
    let spec = spec(object)?;
    for pair in pairs {
        let Some((name, image)) = pair.split_once('=') else {
            return said(format!("invalid image specification {pair}"));
        };
        let count = each_container(spec, &["initContainers", "containers"], name, |container| {
            container.set_at(&["image"], image);
            Ok(())
        })?;
        if count == 0 {
            return said(format!("unable to find container named \"{name}\""));
        }
    }
    Ok(())
}

/// Refuses what is no list of amounts.
pub(super) fn check_amounts(text: &str) -> Result {
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let Some((_, amount)) = pair.split_once('=') else {
            return said(format!(
                "invalid argument syntax {pair}, expected <resource>=<value>"
            ));
        };
        if let Err(error) = amount.parse::<meta::Quantity>() {
            return said(error.to_string());
        }
    }
    Ok(())
}

/// Gives containers limits and requests: `cpu=1,memory=1Gi`.
pub(super) fn amounts(object: &mut Value, pattern: &str, kinds: &[(&str, &str)]) -> Result {
    let spec = spec(object)?;
    let count = each_container(spec, &["containers"], pattern, |container| {
        for (kind, text) in kinds {
            for pair in text.split(',').filter(|pair| !pair.is_empty()) {
                match pair.split_once('=') {
                    Some((name, amount)) => container.set_at(&["resources", kind, name], amount),
                    None => {
                        return said(format!(
                            "invalid argument syntax {pair}, expected <resource>=<value>"
                        ));
                    }
                }
            }
        }
        Ok(())
    })?;
    match count {
        0 => said(format!("unable to find container named {pattern}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_changed_by_name_or_pattern() {
        let mut object = value!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "a"}]}}}});
        images(&mut object, &["w*=b".into()]).expect("a container");
        amounts(&mut object, "web", &[("limits", "cpu=1")]).expect("a container");
        assert_eq!(
            object
                .at(&["spec", "template", "spec", "containers"])
                .map(Value::to_json)
                .as_deref(),
            Some(r#"[{"image":"b","name":"web","resources":{"limits":{"cpu":"1"}}}]"#)
        );
        assert!(images(&mut object, &["x=b".into()]).is_err());
    }
}
