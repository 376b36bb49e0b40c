//! Changes: few for few, and always those that lead to the whole.

use std::net::{IpAddr, Ipv4Addr};

use expect_test::{Expect, expect};

use super::*;
use crate::model::{Conditions, Endpoint, Protocol, ServicePort, SlicePort};

fn owner(name: &str) -> Owner {
    Owner::Service(format!("default/{name}").into())
}

fn service(address: u8) -> Service {
    Service {
        cluster_ips: vec![Ipv4Addr::new(10, 43, 0, address).into()],
        ports: vec![ServicePort {
            name: String::new(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
        }],
        ..Service::default()
    }
}

fn slice(addresses: &[u8]) -> EndpointSlice {
    let endpoint = |last: &u8| Endpoint {
        addresses: vec![IpAddr::from(Ipv4Addr::new(10, 42, 1, *last))],
        node: Some("there".into()),
        conditions: Conditions::READY,
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
    };
    EndpointSlice {
        ports: vec![SlicePort {
            name: String::new(),
            protocol: Protocol::Tcp,
            port: 8080,
        }],
        endpoints: addresses.iter().map(endpoint).collect(),
    }
}

fn text(changes: &Changes) -> String {
    let remove = changes.remove.iter().map(|entry| format!("- {entry}\n"));
    let add = changes.add.iter().map(|entry| format!("+ {entry}\n"));
    remove.chain(add).collect()
}

fn check(state: &mut State, expect: &Expect) {
    expect.assert_eq(&text(&state.changes()));
    assert!(state.changes().is_empty(), "changes are told once");
}

#[test]
fn an_endpoint_more_touches_its_group_only() {
    let mut state = State::new(Facts::here());
    state.set_service(owner("a"), &service(1), &[slice(&[5])]);
    state.set_service(owner("b"), &service(2), &[slice(&[6])]);
    state.changes();
    state.set_service(owner("a"), &service(1), &[slice(&[5, 9])]);
    check(
        &mut state,
        &expect![[r#"
        - services: tcp 10.43.0.1 80 -> any of 1 in group 2b5818cc, masquerade outside
        + services: tcp 10.43.0.1 80 -> any of 2 in group 2b5818cc, masquerade outside
        + endpoints: 1 of group 2b5818cc -> 10.42.1.9 8080
    "#]],
    );
    state.set_service(owner("a"), &service(1), &[slice(&[5, 9])]);
    check(&mut state, &expect![[""]]);
    state.remove(&owner("b"));
    check(
        &mut state,
        &expect![[r#"
        - services: tcp 10.43.0.2 80 -> any of 1 in group fdbbe68b, masquerade outside
        - endpoints: 0 of group fdbbe68b -> 10.42.1.6 8080
        - cluster-ips: 10.43.0.2
    "#]],
    );
}

#[test]
fn changes_that_cancel_are_none() {
    let mut state = State::new(Facts::here());
    state.set_service(owner("a"), &service(1), &[slice(&[5])]);
    state.changes();
    state.set_service(owner("a"), &service(1), &[slice(&[7])]);
    state.remove(&owner("a"));
    state.set_service(owner("a"), &service(1), &[slice(&[5])]);
    assert_eq!(text(&state.changes()), "");
}

#[test]
fn of_two_claims_the_first_name_wins_and_the_other_follows() {
    let mut state = State::new(Facts::here());
    state.set_service(owner("b"), &service(1), &[slice(&[6])]);
    state.set_service(owner("a"), &service(1), &[slice(&[5])]);
    check(
        &mut state,
        &expect![[r#"
        + services: tcp 10.43.0.1 80 -> any of 1 in group 2b5818cc, masquerade outside
        + endpoints: 0 of group 2b5818cc -> 10.42.1.5 8080
        + endpoints: 0 of group fdbbe68b -> 10.42.1.6 8080
        + cluster-ips: 10.43.0.1
    "#]],
    );
    state.remove(&owner("a"));
    check(
        &mut state,
        &expect![[r#"
        - services: tcp 10.43.0.1 80 -> any of 1 in group 2b5818cc, masquerade outside
        - endpoints: 0 of group 2b5818cc -> 10.42.1.5 8080
        + services: tcp 10.43.0.1 80 -> any of 1 in group fdbbe68b, masquerade outside
    "#]],
    );
    state.remove(&owner("b"));
    check(
        &mut state,
        &expect![[r#"
        - services: tcp 10.43.0.1 80 -> any of 1 in group fdbbe68b, masquerade outside
        - endpoints: 0 of group fdbbe68b -> 10.42.1.6 8080
        - cluster-ips: 10.43.0.1
    "#]],
    );
    assert_eq!(state.ruleset(), Ruleset::default());
}

#[test]
fn step_by_step_and_at_once_are_the_same() {
    let rng = stdx::Rng::seeded(7);
    let mut state = State::new(Facts::here());
    let mut there = Ruleset::default();
    let mut known: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for _ in 0..2_000 {
        let number = (rng.next_u64() % 6) as u8;
        let endpoints: Vec<u8> = (0..8)
            .filter(|_| rng.next_u64().is_multiple_of(3))
            .collect();
        let name = number.to_string();
        if rng.next_u64().is_multiple_of(4) {
            known.remove(&number);
            state.remove(&owner(&name));
        } else {
            // Two names to an address, so that they meet.
            state.set_service(owner(&name), &service(number / 2), &[slice(&endpoints)]);
            known.insert(number, endpoints);
        }
        if rng.next_u64().is_multiple_of(3) {
            let changes = state.changes();
            for entry in &changes.remove {
                let removed = there.entries.remove(&(entry.map, entry.key));
                assert_eq!(removed, Some(entry.value), "it was there");
            }
            for entry in &changes.add {
                let previous = there.entries.insert((entry.map, entry.key), entry.value);
                assert_eq!(previous, None, "it was not there");
            }
            assert_eq!(there, state.ruleset());
        }
    }
    let services: Vec<_> = known
        .iter()
        .map(|(number, endpoints)| (*number, service(number / 2), [slice(endpoints)]))
        .collect();
    let whole = ruleset(
        services
            .iter()
            .map(|(number, service, slices)| (owner(&number.to_string()), service, &slices[..])),
        &Facts::here(),
    );
    assert_eq!(state.ruleset(), whole);
    assert_eq!(
        there.changes_to(&whole).remove.len(),
        state.changes().remove.len()
    );
}
