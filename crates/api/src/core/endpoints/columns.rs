//! What `kubectl get endpoints` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, Column::new("Endpoints", "string"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        endpoints(object).into(),
        print::age(object, now),
    ]
}

fn endpoints(object: &Value) -> String {
    let subsets = object.items_at(&["subsets"]);
    if subsets.is_empty() {
        return "<none>".into();
    }
    match print::a_few(subsets.iter().flat_map(of_subset)) {
        (shown, Some(more)) => format!("{shown} + {more} more..."),
        (shown, None) => shown,
    }
}

/// The addresses of a subset, once for each port; a headless service may have none.
fn of_subset(subset: &Value) -> Vec<String> {
    let addresses = subset.items_at(&["addresses"]);
    let ports = subset.items_at(&["ports"]);
    if ports.is_empty() {
        return addresses.iter().map(|a| a.str_at(&["ip"]).into()).collect();
    }
    let of_port = |port: &Value| {
        let port = port.i64_at(&["port"]).unwrap_or_default();
        let join = move |a: &Value| join_host_port(a.str_at(&["ip"]), port);
        addresses.iter().map(join).collect::<Vec<_>>()
    };
    ports.iter().flat_map(of_port).collect()
}

fn join_host_port(host: &str, port: i64) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
