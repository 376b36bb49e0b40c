//! Cases of Endpoints.

use super::Endpoints;
use crate::testing::{check_columns, check_valid};
use meta::value;

#[test]
fn addresses_lead_somewhere() {
    check_valid(
        &Endpoints,
        value!({"subsets": [
            {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 2, "name": "b", "protocol": "X"}]},
            {"addresses": [{"ip": "169.254.1.1"}]}
        ]}),
        &[
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
            "subsets[0].ports[0].name: Required value",
            "subsets[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "subsets[1].addresses[0].ip: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ],
    );
}

#[test]
fn columns_show_a_few() {
    let ip = |n: i64| value!({"ip": format!("10.0.0.{n}")});
    let object = value!({
        "metadata": {"name": "e", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "subsets": [{"addresses": [ip(1), ip(2), ip(3), ip(4)], "ports": [{"port": 80}]}]
    });
    check_columns(
        &Endpoints,
        &object,
        "2024-01-01T00:00:01Z",
        &["e", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...", "1s"],
    );
}
