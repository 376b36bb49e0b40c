//! The phase of a pod, from the statuses of its containers.
//!
//! Follows pkg/kubelet/kubelet_pods.go, getPhase.

use typed::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod};

use crate::pod::{init_containers, is_sidecar, restarts_after, spec};

#[derive(Default)]
struct Count {
    pending_init: u32,
    pending_sidecars: u32,
    failed_init: u32,
    unknown: u32,
    running: u32,
    waiting: u32,
    stopped: u32,
    stopped_for_good: u32,
    succeeded: u32,
}

enum State<'a> {
    Absent,
    Running(&'a ContainerStatus),
    Ended(&'a ContainerStateTerminated),
    /// Waits, after it has ended before.
    EndedBefore(&'a ContainerStateTerminated),
    Waiting,
}

/// The phase. `is_terminal` says that no container will be started again;
/// `has_initialized` that regular containers have run.
pub fn phase(
    pod: &Pod,
    statuses: &[ContainerStatus],
    is_terminal: bool,
    has_initialized: bool,
) -> &'static str {
    let mut count = Count::default();
    for container in init_containers(pod) {
        let state = state(container, statuses);
        if is_sidecar(container) {
            count_sidecar(&state, &mut count);
        } else {
            count_init(pod, container, &state, &mut count);
        }
    }
    for container in &spec(pod).containers {
        count_regular(pod, container, &state(container, statuses), &mut count);
    }
    decide(&count, is_terminal, has_initialized)
}

fn decide(count: &Count, is_terminal: bool, has_initialized: bool) -> &'static str {
    if count.failed_init > 0 {
        return "Failed";
    }
    let initializing = count.pending_init > 0 || (count.pending_sidecars > 0 && !has_initialized);
    if initializing || count.waiting > 0 {
        return "Pending";
    }
    if count.unknown > 0 {
        return "Pending";
    }
    if count.running > 0 {
        return "Running";
    }
    if count.stopped == 0 {
        return "Pending";
    }
    if !is_terminal && count.stopped != count.stopped_for_good {
        return "Running";
    }
    if count.stopped == count.succeeded {
        "Succeeded"
    } else {
        "Failed"
    }
}

fn state<'a>(container: &Container, statuses: &'a [ContainerStatus]) -> State<'a> {
    let Some(status) = statuses.iter().find(|status| status.name == container.name) else {
        return State::Absent;
    };
    let Some(state) = &status.state else {
        return State::Absent;
    };
    if state.running.is_some() {
        return State::Running(status);
    }
    if let Some(terminated) = &state.terminated {
        return State::Ended(terminated);
    }
    if state.waiting.is_none() {
        return State::Absent;
    }
    let last = status.last_state.as_ref();
    match last.and_then(|last| last.terminated.as_ref()) {
        Some(terminated) => State::EndedBefore(terminated),
        None => State::Waiting,
    }
}

fn count_init(pod: &Pod, container: &Container, state: &State<'_>, count: &mut Count) {
    match state {
        State::Ended(ended) if ended.exit_code == 0 => {}
        State::EndedBefore(ended) if ended.exit_code == 0 => {}
        State::Ended(ended) | State::EndedBefore(ended) => {
            if restarts_after(container, pod, ended.exit_code) {
                count.pending_init += 1;
            } else {
                count.failed_init += 1;
            }
        }
        State::Absent | State::Running(_) | State::Waiting => count.pending_init += 1,
    }
}

fn count_sidecar(state: &State<'_>, count: &mut Count) {
    match state {
        State::Absent => count.unknown += 1,
        State::Running(status) => {
            if status.started != Some(true) {
                count.pending_sidecars += 1;
            }
            count.running += 1;
        }
        State::Ended(_) | State::EndedBefore(_) => {}
        State::Waiting => {
            count.pending_sidecars += 1;
            count.waiting += 1;
        }
    }
}

fn count_regular(pod: &Pod, container: &Container, state: &State<'_>, count: &mut Count) {
    match state {
        State::Absent => count.unknown += 1,
        State::Running(_) => count.running += 1,
        State::Waiting => count.waiting += 1,
        State::Ended(ended) | State::EndedBefore(ended) => {
            count.stopped += 1;
            if !restarts_after(container, pod, ended.exit_code) {
                count.stopped_for_good += 1;
            }
            if matches!(state, State::Ended(_)) && ended.exit_code == 0 {
                count.succeeded += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use serde_json::{Value, json};

    /// `name=running`, `name=exit:1`, `name=waiting`, `name=back:1` (waiting after an end).
    fn statuses(text: &str) -> Vec<ContainerStatus> {
        let one = |word: &str| {
            let (name, state) = word.split_once('=').unwrap();
            let ended =
                |code: &str| json!({"terminated": {"exitCode": code.parse::<i32>().unwrap()}});
            let (state, last): (Value, Value) = match state.split_once(':') {
                Some(("exit", code)) => (ended(code), json!({})),
                Some((_, code)) => (json!({"waiting": {}}), ended(code)),
                None if state == "running" => (json!({"running": {}}), json!({})),
                None => (json!({"waiting": {}}), json!({})),
            };
            let object = json!({
                "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
                "started": true, "state": state, "lastState": last,
            });
            decode(object)
        };
        text.split_whitespace().map(one).collect()
    }

    fn decode(status: Value) -> ContainerStatus {
        let whole = json!({"metadata": {}, "status": {"containerStatuses": [status]}});
        let pod = crate::testing::decode(whole);
        pod.status.unwrap().container_statuses.unwrap().remove(0)
    }

    fn check(policy: &str, text: &str, is_terminal: bool, want: &str) {
        let spec = json!({"restartPolicy": policy, "containers": [{"name": "a"}, {"name": "b"}]});
        let got = phase(&pod(spec), &statuses(text), is_terminal, true);
        assert_eq!(got, want, "{policy} {text}");
    }

    #[test]
    fn regular_containers() {
        check("Always", "", false, "Pending");
        check("Always", "a=running b=waiting", false, "Pending");
        check("Always", "a=running b=running", false, "Running");
        check("Always", "a=running b=exit:1", false, "Running");
        check("Always", "a=exit:0 b=exit:1", false, "Running");
        check("Always", "a=exit:0 b=exit:0", true, "Succeeded");
        check("Always", "a=exit:0 b=exit:1", true, "Failed");
        check("OnFailure", "a=exit:0 b=exit:0", false, "Succeeded");
        check("OnFailure", "a=exit:0 b=back:1", false, "Running");
        check("Never", "a=exit:0 b=exit:1", false, "Failed");
        check("Never", "a=exit:0 b=running", false, "Running");
    }

    #[test]
    fn init_containers() {
        let spec = |policy: &str| {
            json!({"restartPolicy": policy, "initContainers": [
                {"name": "i"}, {"name": "s", "restartPolicy": "Always"}
            ], "containers": [{"name": "a"}]})
        };
        for (policy, text, initialized, want) in [
            ("Always", "i=running s=waiting a=waiting", false, "Pending"),
            ("Always", "i=exit:1 s=waiting a=waiting", false, "Pending"),
            ("Never", "i=exit:1 s=waiting a=waiting", false, "Failed"),
            ("Always", "i=exit:0 s=running a=running", true, "Running"),
            ("Never", "i=exit:0 s=exit:0 a=exit:0", true, "Succeeded"),
            ("Never", "i=exit:0 s=running a=exit:0", true, "Running"),
        ] {
            let got = phase(&pod(spec(policy)), &statuses(text), false, initialized);
            assert_eq!(got, want, "{policy} {text}");
        }
    }
}
