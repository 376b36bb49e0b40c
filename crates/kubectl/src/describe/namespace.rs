//! Namespaces with their quotas and limits.

use super::writer::Writer;
use super::{Described, Error, policy, resource, text};
use meta::Value;

pub(super) async fn namespace(it: &Described<'_>, w: &mut Writer) -> Result<(), Error> {
    w.field(0, "Name", it.name());
    it.labels(w);
    it.annotations(w);
    w.field(0, "Status", it.object.str_at(&["status", "phase"]));
    text::dated_conditions(w, it.object);
    if let Some(quotas) = list(it, "resourcequotas").await? {
        w.line(0, "");
        policy::quotas(&quotas, w);
    }
    if let Some(ranges) = list(it, "limitranges").await? {
        w.line(0, "");
        policy::limit_ranges(&ranges, w);
    }
    Ok(())
}

/// The objects of a resource in this namespace; nothing when the server does
/// not serve it.
async fn list(it: &Described<'_>, name: &str) -> Result<Option<Vec<Value>>, Error> {
    let resource = resource("", "v1", name);
    match it.source.list(&resource, it.name(), "", "").await {
        Ok(items) => Ok(Some(items)),
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
