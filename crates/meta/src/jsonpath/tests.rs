//! What stock kubectl 1.33 gives for the same templates and data.

use super::*;
use crate::value;

fn data() -> Value {
    value!({
        "kind": "List",
        "items": [
            {"kind": "None", "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}},
             "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]}},
            {"kind": "None", "metadata": {"name": "127.0.0.2", "labels": {"kubernetes.io/hostname": "127.0.0.2"}},
             "status": {"capacity": {"cpu": "8"}, "addresses": [
                {"type": "LegacyHostIP", "address": "127.0.0.2"}, {"type": "another", "address": "127.0.0.3"}]}}
        ],
        "users": [
            {"name": "myself", "user": {}, "n": 1},
            {"name": "e2e", "user": {"username": "admin", "password": "secret"}, "n": 20}
        ],
        "null": null, "yes": true, "f": 1000000.0, "html": "<a>&"
    })
}

fn run(template: &str) -> Result<String, String> {
    let path = JsonPath::parse(template).map_err(|e| e.to_string())?;
    path.execute(&data()).map_err(|e| e.to_string())
}

#[test]
fn templates_give_what_upstream_gives() {
    for (template, wanted) in [
        ("kind is {.kind}", "kind is List"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.users[*].name}", "myself e2e"),
        ("{.users[0]}", r#"{"n":1,"name":"myself","user":{}}"#),
        ("{.users[-1].name}", "e2e"),
        (
            "{.users[0:1].name}{.users[:2:2].name}{.users[5:5]}",
            "myselfmyself",
        ),
        (
            "{.items[*]['metadata.name', 'status.capacity']}",
            r#"127.0.0.1 127.0.0.2 {"cpu":"4"} {"cpu":"8"}"#,
        ),
        (r#"{.users[?(@.name=="e2e")].user.password}"#, "secret"),
        ("{.users[?(@.n>1)].name}", "e2e"),
        ("{.users[?(@.n<=1)].name}", "myself"),
        ("{.users[?(@.user.username)].name}", "e2e"),
        (
            "{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}",
            r#"[127.0.0.1, {"cpu":"4"}] [127.0.0.2, {"cpu":"8"}] "#,
        ),
        (
            "{range .items[*]}{.metadata.name}{\"\\t\"}{range .status.addresses[*]}{.address},{end}{\"\\n\"}{end}done",
            "127.0.0.1\t127.0.0.1,\n127.0.0.2\t127.0.0.2,127.0.0.3,\ndone",
        ),
        (
            "{range .items[?(@.kind==\"x\")]}{.metadata.name}{end}after",
            "after",
        ),
        (
            r"{.items[0].metadata.labels.kubernetes\.io/hostname}",
            "127.0.0.1",
        ),
        (
            r"{.items[0].metadata.labels['kubernetes\.io/hostname']}",
            "127.0.0.1",
        ),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.users[0,1].name}", "myself e2e"),
        ("{$.users[*].n}", "1 20"),
        ("{.null}{.yes}{.f}", "nulltrue1e+06"),
        ("{'single'} {\"dou\\\"ble\"}", "single dou\"ble"),
        (
            "{.users[*].user}",
            r#"{} {"password":"secret","username":"admin"}"#,
        ),
        ("{.html}{.items[0].status.capacity.*}", "<a>&4"),
    ] {
        assert_eq!(run(template).as_deref(), Ok(wanted), "{template}");
    }
}

#[test]
fn complaints_are_upstreams() {
    for (template, wanted) in [
        ("{.x", "unclosed action"),
        ("{.users[0}", "unterminated array"),
        ("{.users[a]}", "invalid array index a"),
        ("{*}", "unrecognized character in action: U+002A '*'"),
        (
            "{range .users[*]}{.name}{end}{end}",
            "not in range, nothing to end",
        ),
        ("{end}", "not in range, nothing to end"),
        ("{hello}", "unrecognized identifier hello"),
        ("{.missing}", "missing is not found"),
        (
            "{.users[7]}",
            "array index out of bounds: index 7, length 2",
        ),
        (
            "{.users[-3]}",
            "array index out of bounds: index -1, length 2",
        ),
        ("{.kind[0]}", "string is not array or slice"),
        ("{.users[::0]}", "step must be > 0"),
        ("{.....}", "invalid multiple recursive descent"),
        (
            "{.users[?(@.name==1)]}",
            "incompatible types for comparison",
        ),
        ("{.users[?(@.user==1)]}", "invalid type for comparison"),
        ("{.users[?(@.n=1)]}", "unrecognized filter operator ="),
        (
            "{.kind[?(@.n==1)]}",
            "List is not array or slice and cannot be filtered",
        ),
        (
            r#"{"\hello"}"#,
            r#"unquote string "\hello" error invalid syntax"#,
        ),
    ] {
        assert_eq!(run(template), Err(wanted.to_string()), "{template}");
    }
}

#[test]
fn missing_keys_may_be_nothing() {
    let path = JsonPath::parse("[{.a.b}{.users[*].x}]").expect("a template");
    let path = path.allow_missing_keys(true);
    assert_eq!(path.execute(&data()).as_deref(), Ok("[]"));
}

#[test]
fn relaxed_templates_are_completed() {
    for text in ["a.b", ".a.b", "{a.b}", "{.a.b}"] {
        assert_eq!(relaxed(text).as_deref(), Ok("{.a.b}"));
    }
    assert!(relaxed("{.a}{.b}").is_err());
    assert!(relaxed("{.a").is_err());
}

#[test]
fn results_can_be_json() {
    let path = JsonPath::parse("{.users[*].name}{.html}").expect("a template");
    assert_eq!(
        path.execute_as_json(&data()).as_deref(),
        Ok("[\n    \"myself\",\n    \"e2e\"\n]\n[\n    \"\\u003ca\\u003e\\u0026\"\n]\n")
    );
}
