//! Amounts of what is measured, and the columns in which they are shown.

use meta::Value;
use meta::quantity::Quantity;

/// How much of a resource an object says is used.
pub(super) fn amount(usage: Option<&Value>, resource: &str) -> Quantity {
    let text = usage.map_or("", |usage| usage.str_at(&[resource]));
    text.parse().unwrap_or_else(|_| Quantity::from_units(0))
}

/// How much all containers of a pod use.
pub(super) fn of_pod(pod: &Value, resource: &str) -> Quantity {
    let containers = pod.items_at(&["containers"]).iter();
    containers
        .map(|container| amount(container.get("usage"), resource))
        .fold(Quantity::from_units(0), |sum, more| sum + more)
}

/// Processors in thousandths, everything else in mebibytes.
pub(super) fn shown(resource: &str, amount: Quantity) -> String {
    match resource {
        "cpu" => format!("{}m", amount.milli_value()),
        _ => format!("{}Mi", amount.value() / (1024 * 1024)),
    }
}

/// `MEMORY(bytes)`: the title of a resource's column.
pub(super) fn title(resource: &str) -> &'static str {
    match resource {
        "cpu" => "CPU(cores)",
        "memory" => "MEMORY(bytes)",
        _ => "SWAP(bytes)",
    }
}

/// Rows as tabs make them into columns: a tab follows every cell, the last one too.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let lines = rows.iter().map(|row| {
        let cells = row.iter().map(|cell| format!("{cell}\t"));
        cells.collect::<String>() + "\n"
    });
    crate::tabwriter::TABLE.format(&lines.collect::<String>())
}
