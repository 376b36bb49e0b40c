//! Cases of the pull decision, and of its back-off.

use super::{puller::seconds, *};
use std::{sync::Arc, time::Duration};
use stdx::Clock;

#[test]
fn decisions() {
    let last = Failure {
        reason: Reason::ErrImagePull,
        message: "no route".into(),
    };
    let used = "Container image \"x\" already present on machine and can be accessed by the pod";
    for (policy, present, last, want) in [
        (PullPolicy::Never, true, None, format!("use Pulled {used}")),
        (
            PullPolicy::IfNotPresent,
            true,
            Some(&last),
            format!("use Pulled {used}"),
        ),
        (
            PullPolicy::IfNotPresent,
            false,
            None,
            "pull Pulling Pulling image \"x\"".into(),
        ),
        (
            PullPolicy::Always,
            true,
            None,
            "pull Pulling Pulling image \"x\"".into(),
        ),
        (
            PullPolicy::Never,
            false,
            Some(&last),
            "ErrImageNeverPull Container image \"x\" is not present with pull policy of Never"
                .into(),
        ),
        (
            PullPolicy::Always,
            true,
            Some(&last),
            "ImagePullBackOff Back-off pulling image \"x\": ErrImagePull: no route".into(),
        ),
    ] {
        let got = match decide("x", policy, present, last) {
            Decision::Use(event) => format!("use {} {}", event.reason, event.message),
            Decision::Pull(event) => format!("pull {} {}", event.reason, event.message),
            Decision::Wait(failure, _) => {
                format!("{} {}", failure.reason.as_str(), failure.message)
            }
        };
        assert_eq!(got, want);
    }
}

fn puller(directory: &std::path::Path) -> (Puller, Clock) {
    let clock = Clock::simulated(Default::default());
    let images = Images::open(directory).unwrap();
    (
        Puller::new(images, Arc::new(NoRegistry), clock.clone()),
        clock,
    )
}

async fn reason(puller: &Puller, image: &str) -> Reason {
    let ensured = puller.ensure("uid", image, PullPolicy::IfNotPresent, &[]);
    ensured.await.result.unwrap_err().reason
}

#[tokio::test(start_paused = true)]
async fn failed_pulls_back_off() {
    let directory = tempfile::tempdir().unwrap();
    let (puller, clock) = puller(directory.path());
    for wait in [10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(reason(&puller, "a").await, Reason::ErrImagePull);
        clock.sleep(Duration::from_secs(wait - 1)).await;
        assert_eq!(reason(&puller, "a").await, Reason::ImagePullBackOff);
        clock.sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(reason(&puller, "a").await, Reason::ErrImagePull);
    assert_eq!(reason(&puller, "b").await, Reason::ErrImagePull);
    puller.forget("uid");
    assert_eq!(reason(&puller, "a").await, Reason::ErrImagePull);
    clock.sleep(Duration::from_secs(601)).await;
    assert_eq!(reason(&puller, "b").await, Reason::ErrImagePull);
}

#[tokio::test(start_paused = true)]
async fn refusals_name_their_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (puller, _) = puller(directory.path());
    let ensured = puller
        .ensure("uid", "Bad Name", PullPolicy::Always, &[])
        .await;
    assert_eq!(
        ensured.result.unwrap_err().to_string(),
        "InvalidImageName: Failed to apply default image tag \"Bad Name\": couldn't parse image \
         name \"Bad Name\": invalid reference format: repository name (library/Bad Name) must be \
         lowercase"
    );
    assert_eq!(ensured.events[0].reason, "InspectFailed");

    let ensured = puller.ensure("uid", "a", PullPolicy::Always, &[]).await;
    let failure = ensured.result.unwrap_err();
    assert!(failure.message.contains("does not pull"), "{failure}");
    let reasons: Vec<_> = ensured.events.iter().map(|event| event.reason).collect();
    assert_eq!(reasons, ["Pulling", "Failed"]);
}

#[test]
fn durations_print_as_go_prints_them() {
    for (millis, want) in [
        (0, "0ms"),
        (393, "393ms"),
        (1000, "1s"),
        (15981, "15.981s"),
        (1500, "1.5s"),
        (62000, "1m2s"),
    ] {
        assert_eq!(seconds(Duration::from_millis(millis)), want);
    }
}
