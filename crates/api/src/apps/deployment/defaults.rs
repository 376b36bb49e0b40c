//! What a Deployment is when its author does not say. Follows
//! pkg/apis/apps/v1/defaults.go.

use crate::core::pod::template;
use crate::fill;
use meta::Value;

pub(super) fn fill(object: &mut Value) {
    let spec = object.make_object().entry("spec");
    fill::absent(spec, "replicas", 1);
    fill::absent(spec, "revisionHistoryLimit", 10);
    fill::absent(spec, "progressDeadlineSeconds", 600);
    let strategy = spec.make_object().entry("strategy");
    fill::empty(strategy, "type", "RollingUpdate");
    if strategy.str_at(&["type"]) == "RollingUpdate" {
        let rolling = strategy.make_object().entry("rollingUpdate");
        fill::absent(rolling, "maxUnavailable", "25%");
        fill::absent(rolling, "maxSurge", "25%");
    }
    template::default(spec.make_object().entry("template"));
}
