//! Upstream's own serialisation vectors: every field set, so that reading,
//! conforming and completing one must change nothing.

use meta::Value;
use std::path::PathBuf;

/// The first place where two trees differ.
fn difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<_> = x.keys().chain(y.keys()).collect();
            keys.into_iter()
                .find_map(|key| match (x.get(key), y.get(key)) {
                    (Some(a), Some(b)) => difference(a, b, &format!("{path}.{key}")),
                    (a, b) => Some(format!("{path}.{key}: {a:?} / {b:?}")),
                })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let pairs = x.iter().zip(y).enumerate();
            pairs
                .into_iter()
                .find_map(|(i, (a, b))| difference(a, b, &format!("{path}[{i}]")))
        }
        (a, b) => (a != b).then(|| format!("{path}: {a} / {b}")),
    }
}

#[test]
fn vectors_are_read_whole_and_written_as_they_were() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../../shared/spec/vectors"]
        .iter()
        .collect();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: upstream's vectors do not lie beside the checkout");
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = std::fs::read(&path).expect("a vector");
        let parsed = codec::json::parse(&text).expect("JSON");
        assert!(parsed.duplicates.is_empty(), "{name}");
        let original = parsed.value;
        let (version, kind) = (original.str_at(&["apiVersion"]), original.str_at(&["kind"]));
        // An event of a watch does not say what it is.
        let kind = match kind {
            "" => name.rsplit('.').next().unwrap_or_default(),
            kind => kind,
        };
        let home = "k8s.io/apimachinery/pkg/apis/meta/v1";
        let schema = api::schema::of(version, kind).or_else(|| api::schema::find(home, kind));
        let Some(schema) = schema else {
            wrong.push(format!("{name}: no schema"));
            continue;
        };
        let mut object = original.clone();
        match codec::conform(&mut object, schema) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(unknown) if !unknown.is_empty() => wrong.push(format!("{name}: {unknown:?}")),
            Ok(_) => {}
        }
        codec::complete(&mut object, schema);
        wrong.extend(difference(&original, &object, "").map(|d| format!("{name}: {d}")));
        let again = codec::json::parse_value(object.to_json().as_bytes()).expect("our JSON");
        wrong.extend(difference(&object, &again, "").map(|d| format!("{name} again: {d}")));
        let yaml = codec::yaml::parse(&codec::yaml::write(&object)).expect("our YAML");
        wrong.extend(difference(&object, &yaml, "").map(|d| format!("{name} as YAML: {d}")));
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 150, "{count}");
}
