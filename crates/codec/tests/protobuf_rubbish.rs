//! Bytes that nobody meant: whatever they are, the transcoder neither panics
//! nor runs away, and what it takes for an object comes back the same.

use codec::protobuf::{self, Error};
use meta::schema::Struct;
use meta::{Value, value};
use stdx::Rng;

fn of(api_version: &str, kind: &str) -> &'static Struct {
    api::schema::of(api_version, kind).expect("a known kind")
}

/// What is read is written, and read again, and is the same.
fn survives(raw: &[u8], schema: &'static Struct) -> bool {
    let Ok(object) = protobuf::decode_message_with(raw, schema, &api::schema::of) else {
        return false;
    };
    let again = protobuf::encode_message(&object, schema)
        .unwrap_or_else(|e| panic!("{}: {e}: {object}", schema.name));
    let back = protobuf::decode_message(&again, schema)
        .unwrap_or_else(|e| panic!("{}: {e}: {object}", schema.name));
    // Zero values that were absent are written, so only the next turn is still.
    let once_more = protobuf::encode_message(&back, schema).expect("a message");
    assert_eq!(again, once_more, "{}: {object}", schema.name);
    true
}

/// A message of random fields that mostly fit the wire format.
fn noise(rng: &Rng, depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.range(0..6) {
        let number = rng.range(1..24);
        match rng.range(0..8) {
            0 => {
                varint(&mut out, number << 3);
                varint(&mut out, rng.next_u64() >> rng.range(0..64));
            }
            1 => {
                varint(&mut out, number << 3 | 1);
                out.extend_from_slice(&rng.next_u64().to_le_bytes());
            }
            2 | 3 if depth > 0 => {
                let inner = noise(rng, depth - 1);
                varint(&mut out, number << 3 | 2);
                varint(&mut out, inner.len() as u64);
                out.extend_from_slice(&inner);
            }
            2..=6 => {
                let texts: [&[u8]; 6] = [b"", b"a", b"1Gi", b"{}", b"\xff\xfe", b"[null,1.5]"];
                let text = rng.choose(&texts).copied().unwrap_or_default();
                varint(&mut out, number << 3 | 2);
                varint(&mut out, text.len() as u64);
                out.extend_from_slice(text);
            }
            _ => varint(&mut out, rng.next_u64() >> rng.range(0..64)),
        }
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[test]
fn noise_is_read_or_refused() {
    let rng = Rng::seeded(11);
    let mut taken = 0;
    for _ in 0..40 {
        for (_, _, schema) in api::generated::TYPES {
            taken += u32::from(survives(&noise(&rng, 4), schema));
        }
    }
    assert!(taken > 5_000, "only {taken} were taken for messages");
}

#[test]
fn damaged_objects_are_read_or_refused() {
    let rng = Rng::seeded(12);
    let objects = [sample(), role(), crd()];
    for object in &objects {
        let schema = of(object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
        let whole = protobuf::encode_message(object, schema).expect("a message");
        assert!(survives(&whole, schema));
        for end in 0..whole.len() {
            survives(&whole[..end], schema);
        }
        for _ in 0..4_000 {
            let mut bytes = whole.clone();
            for _ in 0..rng.range(1..4) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.range(0..4) {
                    0 => bytes[at] = rng.next_u64() as u8,
                    1 => bytes[at] ^= 1 << rng.range(0..8),
                    2 => bytes.insert(at, rng.next_u64() as u8),
                    _ if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => {}
                }
            }
            survives(&bytes, schema);
        }
    }
}

#[test]
fn damaged_envelopes_and_frames_are_refused() {
    let rng = Rng::seeded(13);
    let object = sample();
    let whole = protobuf::encode(&object, "v1", "Pod", of("v1", "Pod")).expect("an object");
    let frame = protobuf::event("ADDED", &whole);
    for _ in 0..20_000 {
        let mut bytes = rng
            .choose(&[&whole, &frame])
            .copied()
            .cloned()
            .unwrap_or_default();
        let at = rng.below(bytes.len().min(60) as u64) as usize;
        bytes[at] = rng.next_u64() as u8;
        let _ = protobuf::decode(&bytes);
        let _ = protobuf::read_event(&bytes);
    }
    for end in 0..whole.len() {
        // Only between two fields is the end of one a place to end.
        if let Ok(envelope) = protobuf::decode(&whole[..end]) {
            assert!(envelope.raw.is_empty() || end + 4 >= whole.len());
        }
    }
}

#[test]
fn nesting_has_a_bound() {
    // A JSON schema whose `not` (13) holds a schema whose `not` …
    let schema = of("apiextensions.k8s.io/v1", "JSONSchemaProps");
    let number = schema.field("not").expect("a field").number;
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut out = Vec::new();
            varint(&mut out, u64::from(number) << 3 | 2);
            varint(&mut out, inner.len() as u64);
            out.extend_from_slice(&inner);
            out
        })
    };
    assert!(survives(&nested(150), schema));
    assert!(matches!(
        protobuf::decode_message(&nested(5_000), schema),
        Err(Error::TooDeep)
    ));
}

#[test]
fn a_length_is_no_reason_to_allocate() {
    let pod = of("v1", "Pod");
    // metadata of 2^62 bytes
    let mut bytes = vec![0x0a];
    varint(&mut bytes, 1 << 62);
    assert!(matches!(
        protobuf::decode_message(&bytes, pod),
        Err(Error::UnexpectedEnd)
    ));
}

#[test]
fn many_entries_in_the_wrong_order_are_sorted_once() {
    let config = of("v1", "ConfigMap");
    let mut bytes = Vec::new();
    for i in (0..100_000u32).rev() {
        let key = format!("{i:06}");
        bytes.extend_from_slice(&[0x12, 8 + 3, 0x0a, 6]);
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(&[0x12, 1, b'x']);
    }
    let object = protobuf::decode_message(&bytes, config).expect("a ConfigMap");
    let data = object.get("data").and_then(Value::as_object).expect("data");
    assert_eq!(data.len(), 100_000);
    assert_eq!(data.keys().next().map(|k| k.as_str()), Some("000000"));
}

fn sample() -> Value {
    value!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "labels": {"x": "y", "z": "w"}, "creationTimestamp": "2024-02-29T23:59:58Z",
            "managedFields": [{"manager": "m", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}, "time": "2024-02-29T23:59:58Z"}]},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1500m"}},
            "readinessProbe": {"httpGet": {"port": "web"}, "periodSeconds": -1}, "securityContext": {"runAsUser": 0}}],
            "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}],
            "terminationGracePeriodSeconds": 0}
    })
}

fn role() -> Value {
    value!({
        "apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "v1",
        "resources": [{"name": "pods", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get", "list"]}]
    })
}

fn crd() -> Value {
    value!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "spec": {"group": "g", "scope": "Cluster", "names": {"plural": "p", "kind": "K"}, "versions": [{
            "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "maximum": 1.5, "default": {"a": [1, null]}, "enum": ["x", 2],
                "items": {"type": "string"}, "additionalProperties": {"type": "integer"},
                "additionalItems": false, "dependencies": {"a": ["b"], "c": {"type": "string"}},
                "properties": {"q": {"items": [{"type": "string"}, {"type": "number"}]}}
            }}
        }]}
    })
}
