//! Cases of Namespace.

use super::Namespace;
use crate::kind::{Door, Kind};
use crate::testing::{check_columns, check_valid};
use meta::{Errors, Field, value};

#[test]
fn a_namespace_is_held_until_its_content_is_gone() {
    let mut object = value!({"metadata": {"name": "a"}});
    Namespace.default(&mut object);
    Namespace.prepare_create(&mut object);
    assert_eq!(
        object,
        value!({
            "metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "a"}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}
        })
    );
    check_valid(&Namespace, object.clone(), &[]);
    assert!(Namespace.is_held(&object));

    let mut new = object.clone();
    new.set_at(&["spec", "finalizers"], value!([]));
    Namespace.prepare_update(&mut new, &object, Door::Main);
    assert!(Namespace.is_held(&new));
    new.set_at(&["spec", "finalizers"], value!([]));
    Namespace.prepare_update(&mut new, &object, Door::Other("finalize"));
    assert!(!Namespace.is_held(&new));

    Namespace.prepare_delete(&mut object);
    check_columns(
        &Namespace,
        &object,
        "2024-01-01T00:00:00Z",
        &["a", "Terminating", "<unknown>"],
    );
}

#[test]
fn the_phase_follows_from_deletion() {
    let object = value!({"metadata": {"name": "a"}, "status": {"phase": "Terminating"}});
    let mut errors = Errors::new();
    let root = Field::root(&object);
    Namespace.validate_update(&root, &root, Door::Status, &mut errors);
    assert_eq!(
        errors.aggregate(),
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    );
}
