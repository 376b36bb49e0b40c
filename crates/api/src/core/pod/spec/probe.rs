//! Probes and lifecycle hooks: handlers of a few types, of which there is one.

use super::Context;
use crate::check;
use meta::{Errors, Field, FieldError};

/// Which handlers a probe may have, in upstream's order.
const PROBE_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
/// Which handlers a hook may have.
const HOOK_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "sleep"];

/// The three probes of a container.
pub(super) fn validate(container: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.get(name);
        if !probe.is_present() {
            continue;
        }
        validate_probe(&probe, context, errors);
        let grace = probe.get("terminationGracePeriodSeconds");
        if name == "readinessProbe" {
            if grace.is_present() {
                errors.push(grace.invalid("must not be set for readinessProbes"));
            }
            continue;
        }
        let successes = probe.get("successThreshold");
        if successes.int() != 1 {
            let detail = "must be 1";
            errors.push(FieldError::invalid(
                &successes.path,
                successes.int(),
                detail,
            ));
        }
    }
}

fn validate_probe(probe: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    validate_handler(probe, PROBE_HANDLERS, context, errors);
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        check::nonnegative(&probe.get(key), errors);
    }
    let grace = probe.get("terminationGracePeriodSeconds");
    if grace.i64().is_some_and(|s| s <= 0) {
        errors.push(grace.invalid("must be greater than 0"));
    }
}

/// The hooks of a container, and how it is told to stop.
pub(super) fn validate_lifecycle(
    lifecycle: &Field<'_>,
    context: &Context<'_>,
    errors: &mut Errors,
) {
    for name in ["postStart", "preStop"] {
        let hook = lifecycle.get(name);
        if hook.is_present() {
            validate_handler(&hook, HOOK_HANDLERS, context, errors);
        }
    }
    let signal = lifecycle.get("stopSignal");
    if !signal.is_present() {
        return;
    }
    if context.os.is_empty() {
        errors.push(signal.forbidden("may not be set for containers with empty `spec.os.name`"));
    } else if !is_signal(signal.str()) {
        errors.push(signal.not_supported(SIGNALS));
    }
}

const SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMIN",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// A signal by its name; the real-time ones count from either end.
fn is_signal(name: &str) -> bool {
    let within = |prefix: &str, max: u32| {
        let steps = name.strip_prefix(prefix).and_then(|n| n.parse().ok());
        steps.is_some_and(|n: u32| (1..=max).contains(&n))
    };
    SIGNALS.contains(&name) || within("SIGRTMIN+", 15) || within("SIGRTMAX-", 14)
}

fn validate_handler(
    handler: &Field<'_>,
    known: &[&str],
    context: &Context<'_>,
    errors: &mut Errors,
) {
    let mut seen = false;
    for name in known {
        let action = handler.get(name);
        if !action.is_present() {
            continue;
        }
        match seen {
            true => errors.push(action.forbidden("may not specify more than 1 handler type")),
            false => validate_action(name, &action, context, errors),
        }
        seen = true;
    }
    if !seen {
        errors.push(handler.required("must specify a handler type"));
    }
}

fn validate_action(name: &str, action: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    match name {
        "exec" => check::required(&action.get("command"), errors),
        "httpGet" => validate_http_get(action, errors),
        "sleep" => validate_sleep(action, context, errors),
        _ => check::port_or_name(&action.get("port"), errors),
    }
}

fn validate_http_get(action: &Field<'_>, errors: &mut Errors) {
    check::required(&action.get("path"), errors);
    check::port_or_name(&action.get("port"), errors);
    let scheme = action.get("scheme");
    if !matches!(scheme.str(), "HTTP" | "HTTPS") {
        errors.push(scheme.not_supported(&["HTTP", "HTTPS"]));
    }
    let headers = action.get("httpHeaders");
    for header in headers.items() {
        let name = header.get("name").str();
        let ok = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !ok {
            errors.push(FieldError::invalid(
                &headers.path,
                name,
                meta::names::regex_error(
                    "a valid HTTP header must consist of alphanumeric characters or '-'",
                    "[-A-Za-z0-9]+",
                    &["X-Header-Name"],
                ),
            ));
        }
    }
}

fn validate_sleep(action: &Field<'_>, context: &Context<'_>, errors: &mut Errors) {
    let seconds = action.get("seconds").int();
    if let Some(grace) = context.grace
        && !(0..=grace).contains(&seconds)
    {
        errors.push(FieldError::invalid(
            &action.path,
            seconds,
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})"),
        ));
    }
}
