//! Our own kubectl beside a stock one on the same cluster, by topic: what is shown, explained,
//! described, refused, changed and completed, with which options, through which proxies. What differs on purpose is in docs/kubectl.md.

mod changes;
mod compare;
mod completion;
mod config;
mod describe;
mod doubles;
mod errors;
mod explain;
mod impersonate;
mod options;
mod proxied;

use e2e::suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite(
        &[
            ("changes_are_made_alike", changes::changes_are_made_alike),
            (
                "clusters_are_reached_through_proxies",
                proxied::clusters_are_reached_through_proxies,
            ),
            (
                "completion_offers_alike",
                completion::completion_offers_alike,
            ),
            ("editors_save_alike", changes::editors_save_alike),
            (
                "errors_of_usage_are_alike",
                errors::errors_of_usage_are_alike,
            ),
            (
                "kinds_are_described_alike",
                describe::kinds_are_described_alike,
            ),
            (
                "kinds_are_explained_alike",
                explain::kinds_are_explained_alike,
            ),
            (
                "kubeconfigs_are_changed_alike",
                config::kubeconfigs_are_changed_alike,
            ),
            (
                "others_are_impersonated_alike",
                impersonate::others_are_impersonated_alike,
            ),
        ],
        &[
            (
                "doubled_apis_are_used_alike",
                doubles::doubled_apis_are_used_alike,
            ),
            ("options_are_upstreams", options::options_are_upstreams),
        ],
    )
}
