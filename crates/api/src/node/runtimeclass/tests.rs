//! Cases of RuntimeClass.

use super::RuntimeClass;
use crate::testing::{check_update, check_valid};
use meta::value;

#[test]
fn a_class_keeps_its_handler() {
    check_valid(
        &RuntimeClass,
        value!({"handler": "a", "overhead": {"podFixed": {"cpu": "-1"}}}),
        &["overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"],
    );
    check_update(
        &RuntimeClass,
        &value!({"handler": "a"}),
        value!({"handler": "b"}),
        &["handler: Invalid value: \"b\": field is immutable"],
    );
}
