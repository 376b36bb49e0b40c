//! What is answered, and when.

use super::*;
use crate::model::{Conditions, Endpoint};
use expect_test::expect;

fn endpoint(last: u8, node: &str, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![[10, 42, 0, last].into()],
        node: Some(node.into()),
        conditions: Conditions {
            ready,
            ..Conditions::READY
        },
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
    }
}

fn asked(health: &Health, port: u16, endpoints: Vec<Endpoint>) {
    let service = Service {
        health_check_port: Some(port),
        ..Service::default()
    };
    let slice = EndpointSlice {
        ports: Vec::new(),
        endpoints,
    };
    let name = "default/web".into();
    health.look(&name, Some((&service, &[slice])), &Facts::here());
}

fn health() -> Health {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    Health::new(Clock::simulated(start))
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_this_node_count_once_they_are_reachable() {
    let health = health();
    let endpoints = vec![
        endpoint(5, "here", true),
        endpoint(5, "here", true),
        endpoint(6, "here", true),
        endpoint(7, "here", false),
        endpoint(8, "there", true),
    ];
    health.begin();
    asked(&health, 30_000, endpoints);
    assert_eq!(health.of_service("default/web").shown().0, 503);
    health.done();
    let answer = health.of_service("default/web");
    assert_eq!(answer.shown_weight(), (200, Some(2)));
    expect![[r#"
        {
        	"service": {
        		"namespace": "default",
        		"name": "web"
        	},
        	"localEndpoints": 2,
        	"serviceProxyHealthy": true
        }"#]]
    .assert_eq(answer.shown().1);
    asked(&health, 30_000, vec![endpoint(8, "there", true)]);
    health.done();
    let answer = health.of_service("default/web");
    assert_eq!(answer.shown_weight(), (503, Some(0)));
    health.look(&"default/web".into(), None, &Facts::here());
    health.done();
    assert!(health.wanted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_does_not_keep_up_is_not_healthy() {
    let health = health();
    let status = |path: &str| health.of_node(path).shown().0;
    assert_eq!(
        (status("/healthz"), status("/livez"), status("/")),
        (200, 200, 404)
    );
    health.begin();
    health.shared.clock.sleep(Duration::from_secs(59)).await;
    health.begin();
    assert_eq!(status("/healthz"), 200);
    health.shared.clock.sleep(Duration::from_secs(1)).await;
    expect![[r#"{"lastUpdated": "0001-01-01 00:00:00 +0000 UTC","currentTime": "2027-01-15 08:01:00 +0000 UTC", "nodeEligible": true}"#]]
        .assert_eq(health.of_node("/healthz").shown().1);
    assert_eq!((status("/healthz"), status("/livez")), (503, 503));
    health.done();
    assert_eq!((status("/healthz"), status("/livez")), (200, 200));
    health.set_node_goes(true);
    assert_eq!((status("/healthz"), status("/livez")), (503, 200));
    expect![[r#"{"lastUpdated": "2027-01-15 08:01:00 +0000 UTC","currentTime": "2027-01-15 08:01:00 +0000 UTC", "nodeEligible": false}"#]]
        .assert_eq(health.of_node("/healthz").shown().1);
}
