//! Cases of InterPodAffinity.

use super::*;
use crate::plugins::testing::{Bench, node_info, unresolvable, unschedulable};
use crate::testing::{NodeBuilder, PodBuilder, node, pod, selector, term};

const NAME: &str = "InterPodAffinity";

fn nodes() -> Vec<NodeBuilder> {
    let node = |name: &str, zone: &str| node(name).label("zone", zone).label("node", name);
    vec![node("a", "1"), node("b", "1"), node("c", "2")]
}

fn placed(name: &str, label: &str, node: &str) -> PodBuilder {
    pod(name).label("app", label).node(node)
}

fn accepted(existing: Vec<PodBuilder>, pod: PodBuilder) -> String {
    Bench::new(NAME, nodes())
        .placed(existing)
        .accepted(pod)
        .join(",")
}

#[test]
fn near_and_far() {
    let web = || vec![placed("w", "web", "a")];
    let near = |text: &str, key: &str| pod("p").near(term(text, key));
    let far = |text: &str, key: &str| pod("p").far(term(text, key));
    for (pod, want) in [
        (pod("p"), "a,b,c"),
        (near("app=web", "zone"), "a,b"),
        (near("app=web", "node"), "a"),
        (near("app in (web|db)", "zone"), "a,b"),
        (near("app notin (db)", "zone"), "a,b"),
        (near("app=db", "zone"), ""),
        (near("app=web", "rack"), ""),
        (near("-", "zone"), ""),
        (far("app=web", "zone"), "c"),
        (far("app=web", "node"), "b,c"),
        (far("app=db", "zone"), "a,b,c"),
        (far("app=web", "rack"), "a,b,c"),
        (near("app=web", "zone").far(term("app=web", "node")), "b"),
    ] {
        let shown = format!("{:?}", pod.clone().build().spec);
        assert_eq!(accepted(web(), pod), want, "{shown}");
    }
}

#[test]
fn one_pod_must_match_all_terms() {
    let both = || {
        pod("p")
            .near(term("app=web", "zone"))
            .near(term("tier=front", "zone"))
    };
    let two = vec![
        placed("w", "web", "a"),
        pod("f").label("tier", "front").node("a"),
    ];
    assert_eq!(accepted(two, both()), "");
    let one = vec![placed("w", "web", "a").label("tier", "front")];
    assert_eq!(accepted(one, both()), "a,b");
}

#[test]
fn the_first_of_a_series_may_start_it() {
    let series = || pod("p").label("app", "web").near(term("app=web", "zone"));
    assert_eq!(accepted(vec![], series()), "a,b,c");
    assert_eq!(accepted(vec![placed("w", "web", "c")], series()), "c");
    assert_eq!(accepted(vec![], pod("p").near(term("app=web", "zone"))), "");
    let nowhere = pod("p").label("app", "web").near(term("app=web", "rack"));
    assert_eq!(accepted(vec![], nowhere), "");
}

#[test]
fn placed_pods_keep_others_away() {
    let lonely = |key: &str| vec![placed("w", "web", "a").far(term("app=db", key))];
    let db = || pod("p").label("app", "db");
    assert_eq!(accepted(lonely("zone"), db()), "c");
    assert_eq!(accepted(lonely("node"), db()), "b,c");
    assert_eq!(accepted(lonely("rack"), db()), "a,b,c");
    assert_eq!(accepted(lonely("zone"), pod("p")), "a,b,c");
    assert_eq!(accepted(lonely("zone"), db().namespace("other")), "a,b,c");
}

#[test]
fn words() {
    let mut bench = Bench::new(NAME, nodes()).placed([
        placed("w", "web", "a"),
        placed("l", "x", "c").far(term("app=p", "zone")),
    ]);
    let affinity = unresolvable(&["node(s) didn't match pod affinity rules"]);
    let anti = unschedulable(&["node(s) didn't match pod anti-affinity rules"]);
    let existing = unschedulable(&["node(s) didn't satisfy existing pods anti-affinity rules"]);
    let near = pod("p").near(term("app=web", "zone"));
    assert_eq!(bench.filter(near), [Ok(()), Ok(()), affinity]);
    let far = pod("p").label("app", "p").far(term("app=web", "zone"));
    assert_eq!(bench.filter(far), [anti.clone(), anti, existing]);
}

#[test]
fn terms_speak_of_namespaces() {
    let elsewhere = || placed("w", "web", "a").namespace("blue");
    let in_namespaces = |names: &[&str], text: Option<&str>| {
        let mut term = term("app=web", "zone");
        term.namespaces = Some(names.iter().map(ToString::to_string).collect());
        term.namespace_selector = text.and_then(selector);
        pod("p").near(term)
    };
    let mut bench = Bench::new(NAME, nodes())
        .placed([elsewhere()])
        .namespace("blue", &[("team", "one")]);
    for (names, text, want) in [
        (&[][..], None, ""),
        (&["blue"], None, "a,b"),
        (&["red"], None, ""),
        (&[], Some(""), "a,b"),
        (&[], Some("team=one"), "a,b"),
        (&[], Some("team=two"), ""),
        (&["blue"], Some("team=two"), "a,b"),
    ] {
        let got = bench.accepted(in_namespaces(names, text)).join(",");
        assert_eq!(got, want, "{names:?} {text:?}");
    }
    let mut bench = bench.namespace("blue", &[("team", "two")]);
    assert_eq!(
        bench
            .accepted(in_namespaces(&[], Some("team=two")))
            .join(","),
        "a,b"
    );
    assert_eq!(
        bench
            .accepted(in_namespaces(&[], Some("team=one")))
            .join(","),
        ""
    );
}

#[test]
fn terms_of_placed_pods_speak_of_namespaces() {
    let mut far = term("app=db", "zone");
    far.namespace_selector = selector("team=one");
    let mut bench = Bench::new(NAME, nodes())
        .placed([placed("w", "web", "a").far(far)])
        .namespace("blue", &[("team", "one")]);
    let db = || pod("p").label("app", "db");
    assert_eq!(bench.accepted(db().namespace("blue")).join(","), "c");
    assert_eq!(bench.accepted(db()).join(","), "a,b,c");
}

#[test]
fn label_keys() {
    let mut same = term("app=web", "zone");
    same.match_label_keys = Some(vec!["rev".into()]);
    let mut other = term("app", "zone");
    other.mismatch_label_keys = Some(vec!["app".into()]);
    let old = || vec![placed("w", "web", "a").label("rev", "1")];
    let rev = |rev: &str| pod("p").label("rev", rev);
    assert_eq!(accepted(old(), rev("1").near(same.clone())), "a,b");
    assert_eq!(accepted(old(), rev("2").near(same)), "");
    let db = pod("p").label("app", "db").far(other.clone());
    assert_eq!(accepted(old(), db), "c");
    assert_eq!(
        accepted(old(), pod("p").label("app", "web").far(other)),
        "a,b,c"
    );
}

fn scores(existing: Vec<PodBuilder>, pod: PodBuilder) -> Option<Vec<i64>> {
    Bench::new(NAME, nodes()).placed(existing).scores(pod)
}

#[test]
fn preferences() {
    let web = || vec![placed("w", "web", "a")];
    assert_eq!(scores(web(), pod("p")), None);
    let likes = |weight| pod("p").preferred(weight, term("app=web", "zone"));
    assert_eq!(scores(web(), likes(5)), Some(vec![100, 100, 0]));
    assert_eq!(scores(web(), likes(-5)), Some(vec![0, 0, 100]));
    let mixed = likes(8).preferred(-2, term("app=web", "node"));
    assert_eq!(scores(web(), mixed), Some(vec![75, 100, 0]));
    let nobody = pod("p").preferred(5, term("app=db", "zone"));
    assert_eq!(scores(web(), nobody), None);
    let two = vec![
        placed("w", "web", "a"),
        placed("v", "web", "c"),
        placed("u", "web", "c"),
    ];
    assert_eq!(scores(two, likes(5)), Some(vec![0, 0, 100]));
}

/// Scores of upstream's own cases (scoring_test.go).
#[test]
fn numbers_of_upstream() {
    let nodes = || {
        let region = |name: &str, region: &str| node(name).label("region", region);
        vec![
            region("n1", "China"),
            region("n2", "India"),
            node("n3").label("az", "az1"),
        ]
    };
    let s =
        |name: &str, security: &str, node: &str| pod(name).label("security", security).node(node);
    let wanting = pod("p")
        .label("security", "S1")
        .preferred(8, term("security notin (S1),security in (S2)", "region"))
        .preferred(2, term("security,!wrongkey", "region"));
    let mut bench = Bench::new(NAME, nodes()).placed([
        s("a", "S1", "n1"),
        s("b", "S2", "n2"),
        s("c", "S1", "n3"),
    ]);
    assert_eq!(bench.scores(wanting), Some(vec![20, 100, 0]));

    let likes = |name: &str, security: &str, node: &str, of: &str, weight: i32| {
        let of = format!("security in ({of})");
        s(name, security, node).preferred(weight, term(&of, "region"))
    };
    let mut bench = Bench::new(NAME, nodes()).placed([
        likes("a", "S1", "n1", "S1", 5),
        likes("b", "S2", "n2", "S2", 6),
    ]);
    let wanted = pod("p").label("security", "S2");
    assert_eq!(bench.scores(wanted), Some(vec![0, 100, 0]));
}

#[test]
fn preferences_of_placed_pods() {
    let web = || pod("p").label("app", "web");
    let liking = |weight| vec![placed("x", "x", "a").preferred(weight, term("app=web", "zone"))];
    assert_eq!(scores(liking(5), web()), Some(vec![100, 100, 0]));
    assert_eq!(scores(liking(-5), web()), Some(vec![0, 0, 100]));
    let needing = vec![placed("x", "x", "a").near(term("app=web", "node"))];
    assert_eq!(scores(needing, web()), Some(vec![100, 0, 0]));
    let config = Config {
        ignore_preferred_terms_of_existing_pods: true,
        ..Config::default()
    };
    let mut bench = Bench::with(NAME, &config, nodes()).placed(liking(5));
    assert_eq!(bench.scores(web()), None);
}

#[test]
fn events_that_change_who_is_near_help() {
    let mut bench = Bench::new(NAME, []);
    let near = bench.read(pod("n").near(term("app=web", "zone")));
    let far = bench.read(pod("f").label("app", "f").far(term("app=web", "zone")));
    let web = bench.read(placed("w", "web", "a"));
    let db = bench.read(placed("w", "db", "a"));
    let lonely = bench.read(placed("l", "x", "a").far(term("app=f", "zone")));
    for (pod, old, new, want) in [
        (&near, None, Some(&web), Hint::Queue),
        (&near, None, Some(&db), Hint::Skip),
        (&near, Some(&db), Some(&web), Hint::Queue),
        (&near, Some(&web), None, Hint::Skip),
        (&far, Some(&web), None, Hint::Queue),
        (&far, Some(&db), None, Hint::Skip),
        (&far, Some(&web), Some(&db), Hint::Queue),
        (&far, Some(&lonely), None, Hint::Queue),
        (&near, Some(&lonely), None, Hint::Skip),
    ] {
        let event = Event::of_pod(old.map(|p: &Arc<PodInfo>| &**p), new.map(|p| &**p));
        assert_eq!(
            bench.hint(pod, &event),
            want,
            "{} {old:?} {new:?}",
            pod.name()
        );
    }
    let zoned = node_info(node("a").label("zone", "1"));
    let plain = node_info(node("a"));
    assert_eq!(
        bench.hint(&near, &Event::of_node(None, Some(&zoned))),
        Hint::Queue
    );
    assert_eq!(
        bench.hint(&near, &Event::of_node(None, Some(&plain))),
        Hint::Skip
    );
}
