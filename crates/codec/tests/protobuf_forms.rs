//! The odd forms of the wire, one by one, against bytes written by hand.

use codec::protobuf;
use meta::schema::Struct;
use meta::{Value, value};

fn of(api_version: &str, kind: &str) -> &'static Struct {
    api::schema::of(api_version, kind).expect("a known kind")
}

fn check_read(schema: &'static Struct, bytes: &[u8], expected: Value) {
    let found = protobuf::decode_message(bytes, schema).expect("a message");
    assert_eq!(found, expected, "\n got {found}\nwant {expected}");
}

/// There and back.
fn check(schema: &'static Struct, bytes: &[u8], object: Value) {
    let written = protobuf::encode_message(&object, schema).expect("a message");
    assert_eq!(written, bytes, "{object}");
    check_read(schema, bytes, object);
}

#[test]
fn numbers_may_be_negative() {
    let minus = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let mut bytes = vec![0x08];
    bytes.extend_from_slice(&minus);
    check(
        of("autoscaling/v1", "ScaleSpec"),
        &bytes,
        value!({"replicas": -1}),
    );
    // Only the low 32 bits of an int32 count.
    check_read(
        of("autoscaling/v1", "ScaleSpec"),
        &[0x08, 0x85, 0x80, 0x80, 0x80, 0x10],
        value!({"replicas": 5}),
    );
}

#[test]
fn lists_of_numbers_come_packed_or_not() {
    let schema = of("v1", "PodSecurityContext");
    let groups = value!({"supplementalGroups": [1, 300]});
    check(schema, &[0x20, 0x01, 0x20, 0xac, 0x02], groups.clone());
    check_read(schema, &[0x22, 0x03, 0x01, 0xac, 0x02], groups);
}

#[test]
fn scalars_that_are_no_pointers_are_always_written() {
    // containerPort has no omitempty: zero stays where the wire has it.
    let port = [0x0a, 0, 0x10, 0, 0x18, 80, 0x22, 0, 0x2a, 0];
    check(
        of("v1", "ContainerPort"),
        &port,
        value!({"containerPort": 80}),
    );
}

#[test]
fn embedded_messages_lie_flat_in_the_tree() {
    // ConfigMapKeySelector{localObjectReference=1{name=1}, key=2}
    let bytes = [0x0a, 0x03, 0x0a, 0x01, b'n', 0x12, 0x01, b'k'];
    check(
        of("v1", "ConfigMapKeySelector"),
        &bytes,
        value!({"name": "n", "key": "k"}),
    );
    // NamedRuleWithOperations{ruleWithOperations=2{operations=1, rule=2{apiGroups=1}}}
    let bytes = [0x12, 0x08, 0x0a, 0x01, b'*', 0x12, 0x03, 0x0a, 0x01, b'g'];
    check(
        of("admissionregistration.k8s.io/v1", "NamedRuleWithOperations"),
        &bytes,
        value!({"operations": ["*"], "apiGroups": ["g"]}),
    );
}

#[test]
fn lists_may_be_messages_of_their_own() {
    // UserInfo{username=1, uid=2, extra=4{key=1, value=2{items=1}}}
    let bytes = [
        0x0a, 0, 0x12, 0, 0x22, 0x0b, 0x0a, 0x01, b'k', 0x12, 0x06, 0x0a, 0x01, b'a', 0x0a, 0x01,
        b'b',
    ];
    check(
        of("authentication.k8s.io/v1", "UserInfo"),
        &bytes,
        value!({"extra": {"k": ["a", "b"]}}),
    );
}

#[test]
fn times_durations_and_quantities_are_messages() {
    // Lease.spec.acquireTime: a MicroTime of one second and 1500 ns
    let bytes = [0x1a, 0x05, 0x08, 0x01, 0x10, 0xdc, 0x0b];
    let lease = of("coordination.k8s.io/v1", "LeaseSpec");
    check_read(
        lease,
        &bytes,
        value!({"acquireTime": "1970-01-01T00:00:01.000001Z"}),
    );
    check(
        lease,
        &[0x1a, 0x05, 0x08, 0x01, 0x10, 0xe8, 0x07],
        value!({"acquireTime": "1970-01-01T00:00:01.000001Z"}),
    );
    // A Time has no fraction, and Go's zero time is nothing.
    let meta = of("v1", "ManagedFieldsEntry");
    check_read(
        meta,
        &[0x22, 0x04, 0x08, 0x01, 0x10, 0x07],
        value!({"time": "1970-01-01T00:00:01Z"}),
    );
    check_read(meta, &[0x22, 0x00], Value::object());
    let quota = of("v1", "ResourceFieldSelector");
    check(
        quota,
        &[
            0x0a, 0, 0x12, 0x01, b'r', 0x1a, 0x04, 0x0a, 0x02, b'1', b'k',
        ],
        value!({"resource": "r", "divisor": "1k"}),
    );
    check_read(
        quota,
        &[
            0x12, 0x01, b'r', 0x1a, 0x06, 0x0a, 0x04, b'1', b'0', b'0', b'0',
        ],
        value!({"resource": "r", "divisor": "1k"}),
    );
}

#[test]
fn raw_bytes_hold_json_or_an_object_in_its_envelope() {
    let config = value!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let list = of("v1", "List");
    let inner = protobuf::encode(&config, "v1", "ConfigMap", of("v1", "ConfigMap")).expect("bytes");
    let written = protobuf::encode_message(&value!({"items": [config.clone()]}), list);
    check_read(
        list,
        &written.expect("a message"),
        value!({"metadata": {}, "items": [config.clone()]}),
    );

    let mut item = vec![0x0a, inner.len() as u8];
    item.extend_from_slice(&inner);
    let mut bytes = vec![0x12, item.len() as u8];
    bytes.extend_from_slice(&item);
    let found = protobuf::decode_message_with(&bytes, list, &api::schema::of).expect("a list");
    assert_eq!(found, value!({"items": [config]}));
    let refused = protobuf::decode_message(&bytes, list).map_err(|e| e.to_string());
    assert_eq!(
        refused,
        Err("no kind \"ConfigMap\" is registered for version \"v1\"".into())
    );
}

#[test]
fn unknown_fields_are_left_out_and_wrong_types_named() {
    let schema = of("v1", "LocalObjectReference");
    check_read(
        schema,
        &[0xa2, 0x06, 0x01, 0x00, 0x0a, 0x01, b'n'],
        value!({"name": "n"}),
    );
    for (bytes, why) in [
        (
            &[0x08, 0x01][..],
            "proto: wrong wireType = 0 for field name",
        ),
        (
            &[0x00, 0x01],
            "proto: LocalObjectReference: illegal tag 0 (wire type 0)",
        ),
        (&[0x0a, 0x05, b'n'], "unexpected EOF"),
        (
            &[0x0a, 0x01, 0xff],
            "proto: field name contains invalid UTF-8",
        ),
        (&[0x14], "proto: illegal wireType 4"),
    ] {
        let found = protobuf::decode_message(bytes, schema).map_err(|e| e.to_string());
        assert_eq!(found, Err(why.into()));
    }
}

#[test]
fn trees_that_do_not_conform_are_refused() {
    let pod = of("v1", "Pod");
    let refused = protobuf::encode_message(&value!({"spec": {"hostNetwork": "yes"}}), pod);
    assert_eq!(
        refused.map_err(|e| e.to_string()),
        Err("field hostNetwork of PodSpec holds a string".into())
    );
}

#[test]
fn lists_are_made_of_their_items() {
    let config = |name: &str| value!({"metadata": {"name": name}, "data": {"k": name}});
    let schema = of("v1", "ConfigMap");
    let items: Result<Vec<_>, _> = ["a", "b"]
        .iter()
        .map(|name| protobuf::item(&config(name), schema))
        .collect();
    let metadata = value!({"resourceVersion": "7", "remainingItemCount": 3});
    let list = protobuf::list(
        "v1",
        "ConfigMapList",
        &metadata,
        of("v1", "ListMeta"),
        items.expect("items"),
    );
    let pieces = list.expect("a list").concat();
    let whole = value!({"metadata": metadata, "items": [config("a"), config("b")]});
    let whole = protobuf::encode(&whole, "v1", "ConfigMapList", of("v1", "ConfigMapList"));
    assert_eq!(pieces, whole.expect("a list"));
}

#[test]
fn frames_follow_each_other() {
    let mut stream = protobuf::event("ADDED", b"one");
    stream.extend_from_slice(&protobuf::event("BOOKMARK", b"two"));
    let read = |stream| protobuf::read_event(stream).expect("a frame");
    let first = read(&stream).expect("a whole frame");
    assert_eq!((first.kind.as_str(), first.object), ("ADDED", &b"one"[..]));
    let second = read(first.rest).expect("a whole frame");
    assert_eq!(second.kind, "BOOKMARK");
    assert_eq!((second.object, second.rest), (&b"two"[..], &b""[..]));
    assert!(
        protobuf::read_event(&stream[..10])
            .expect("no frame")
            .is_none()
    );
}
