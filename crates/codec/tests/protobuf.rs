//! The transcoder against upstream's own serialisation vectors, and against rubbish.

use codec::protobuf;
use meta::Value;
use meta::schema::Struct;
use std::path::PathBuf;

/// A name, the JSON and the protobuf of one object.
type Vector = (String, Vec<u8>, Vec<u8>);

/// Upstream's vectors, where they lie beside the checkout.
fn vectors() -> Option<Vec<Vector>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../../shared/spec/vectors"]
        .iter()
        .collect();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: upstream's vectors do not lie beside the checkout");
        return None;
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder's entry").path();
        if path.extension().is_some_and(|e| e == "pb") {
            let name = path.file_stem().expect("a name").to_string_lossy();
            let json = std::fs::read(path.with_extension("json")).expect("a vector as JSON");
            let bytes = std::fs::read(&path).expect("a vector as protobuf");
            found.push((name.into_owned(), json, bytes));
        }
    }
    found.sort();
    Some(found)
}

fn schema(api_version: &str, kind: &str) -> &'static Struct {
    api::schema::of(api_version, kind)
        .unwrap_or_else(|| panic!("no schema of {kind} in {api_version}"))
}

/// What is left of an object when kind and apiVersion, which messages do not
/// hold, are taken away and Go's encoder has had its say.
fn bare(mut object: Value, schema: &Struct) -> Value {
    let map = object.make_object();
    map.remove("kind");
    map.remove("apiVersion");
    codec::complete(&mut object, schema);
    object
}

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
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => x
            .iter()
            .zip(y)
            .enumerate()
            .find_map(|(i, (a, b))| difference(a, b, &format!("{path}[{i}]"))),
        (a, b) if a == b => None,
        (a, b) => Some(format!("{path}: {a} / {b}")),
    }
}

#[test]
fn upstreams_vectors_are_read_and_written() {
    let Some(vectors) = vectors() else { return };
    assert!(vectors.len() > 150, "{} vectors", vectors.len());
    let mut failures = Vec::new();
    let mut equal = 0;
    for (name, json, bytes) in &vectors {
        let mut expected = codec::json::parse_value(json).expect("a vector's JSON");
        let envelope = match protobuf::decode(bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        assert_eq!(envelope.kind, expected.str_at(&["kind"]), "{name}");
        assert_eq!(envelope.api_version, expected.str_at(&["apiVersion"]));
        // A WatchEvent does not say what it is.
        let schema = match name.ends_with(".WatchEvent") {
            true => schema("v1", "WatchEvent"),
            false => schema(&envelope.api_version, &envelope.kind),
        };
        codec::conform(&mut expected, schema).expect("a vector conforms");
        let expected = bare(expected, schema);
        let found = match protobuf::decode_message(envelope.raw, schema) {
            Ok(found) => bare(found, schema),
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        if let Some(place) = difference(&expected, &found, "") {
            failures.push(format!("{name} reads otherwise: {place}"));
        }
        let (version, kind) = (&envelope.api_version, &envelope.kind);
        let again = match protobuf::encode(&expected, version, kind, schema) {
            Ok(again) => again,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        let reread = protobuf::decode(&again).expect("an envelope of ours");
        let reread = protobuf::decode_message(reread.raw, schema).expect("a message of ours");
        if let Some(place) = difference(&expected, &bare(reread, schema), "") {
            failures.push(format!("{name} does not come back: {place}"));
        }
        match again == *bytes {
            true => equal += 1,
            false => failures.push(format!(
                "{name}: {} bytes where upstream has {}, first other at {:?}",
                again.len(),
                bytes.len(),
                again.iter().zip(bytes).position(|(a, b)| a != b)
            )),
        }
    }
    println!("{equal} of {} vectors are equal to the byte", vectors.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
