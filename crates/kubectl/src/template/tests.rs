//! What stock kubectl 1.33 gives for the same templates and data.

use super::*;
use meta::value;

fn data() -> Value {
    value!({
        "metadata": {"name": "x", "labels": {"a": "1", "b": "2"}},
        "int": 3, "f": 1.5, "big": 12345678901_i64, "yes1": true, "nil": null,
        "str": "<a href='x'>&\"q\"", "b64": "aGVsbG8=",
        "list": [1, "two", {"three": 3}],
        "users": [{"n1": 1, "name": "bob"}, {"n1": 20, "name": "eve"}], "empty": []
    })
}

#[test]
fn templates_give_what_upstream_gives() {
    for (template, wanted) in [
        (
            "{{.int}} {{.f}} {{.big}} {{.yes1}} {{.nil}} {{.missing}} {{.str}}",
            "3 1.5 12345678901 true <no value> <no value> <a href='x'>&\"q\"",
        ),
        (
            "{{.list}} {{.metadata.labels}} {{.users}}",
            "[1 two map[three:3]] map[a:1 b:2] [map[n1:1 name:bob] map[n1:20 name:eve]]",
        ),
        ("{{range .users}}{{.name}},{{end}}", "bob,eve,"),
        (
            "{{range $i, $u := .users}}{{$i}}={{$u.name}} {{else}}none{{end}}",
            "0=bob 1=eve ",
        ),
        ("{{range .empty}}x{{else}}none{{end}}", "none"),
        (
            "{{range $k, $v := .metadata.labels}}{{$k}}={{$v}} {{end}}",
            "a=1 b=2 ",
        ),
        (
            "{{if gt .int 2}}yes{{else if lt .f 2.0}}mid{{else}}no{{end}}",
            "yes",
        ),
        (
            "{{if gt .int 5}}yes{{else if lt .f 2.0}}mid{{else}}no{{end}}",
            "mid",
        ),
        (
            "{{with .metadata}}{{.name}}{{end}}{{with .nope}}x{{else}}none{{end}}",
            "xnone",
        ),
        (
            "{{len .list}} {{index .list 1}} {{index .metadata.labels \"a\"}} {{slice .b64 1 3}} {{index .metadata.labels \"zz\"}}",
            "3 two 1 GV <no value>",
        ),
        (
            "{{printf \"%s %d %v %q %5d|%-5s|%05d %x %t %T\" .b64 .int .list .str .int \"ab\" .int .int .yes1 .int}}",
            "aGVsbG8= 3 [1 two map[three:3]] \"<a href='x'>&\\\"q\\\"\"     3|ab   |00003 3 true int64",
        ),
        (
            "{{print 1 2 \"a\" \"b\" 3}}{{println \"x\" 1}}",
            "1 2ab3x 1\n",
        ),
        (
            "{{html .str}} {{js .str}} {{urlquery .str}}",
            r#"&lt;a href=&#39;x&#39;&gt;&amp;&#34;q&#34; \u003Ca href\u003D\'x\'\u003E\u0026\"q\" %3Ca+href%3D%27x%27%3E%26%22q%22"#,
        ),
        ("{{.b64 | base64decode}}", "hello"),
        (
            "{{exists . \"metadata\" \"name\"}} {{exists . \"metadata\" \"nope\"}}",
            "true false",
        ),
        (
            "{{define \"T\"}}[{{.}}]{{end}}{{template \"T\" .int}}{{block \"B\" .f}}<{{.}}>{{end}}",
            "[3]<1.5>",
        ),
        ("{{/* c */}}a {{- \" b \" -}} c", "a b c"),
        (
            "{{and .int .f}} {{or .nope \"d\"}} {{not .yes1}} {{and true 0 .boom.x}}",
            "1.5 d false 0",
        ),
        ("{{$x := 5}}{{if true}}{{$x = 6}}{{end}}{{$x}}", "6"),
        ("{{.nope.foo.bar}} {{.a | }}", "<no value> <no value>"),
        ("{{range .int}}x{{end}}{{range 3}}{{.}}{{end}}", "xxx012"),
        ("{{.str | printf \"%s-%s\" \"x\"}}", "x-<a href='x'>&\"q\""),
        (
            "{{range .list}}{{if eq (print .) \"two\"}}{{break}}{{end}}{{.}}{{end}}",
            "1",
        ),
        (
            "{{range .list}}{{if eq (print .) \"two\"}}{{continue}}{{end}}{{.}}{{end}}",
            "1map[three:3]",
        ),
        (
            "{{\"a\\tb\"}}{{`raw\\n`}} {{1.5}} {{0x10}} {{1e3}} {{true}}",
            "a\tbraw\\n 1.5 16 1000 true",
        ),
        (
            "{{(index .users 0).name}} {{.metadata.name | printf \"%q\" | len}}",
            "bob 3",
        ),
        (
            "{{.f | printf \"%d\"}} {{printf \"%d\"}} {{printf \"x\" 1}} {{printf \"%.2f\" .f}} {{printf \"%v\" .nil}} {{printf \"%s\" .int}}",
            "%!d(float64=1.5) %!d(MISSING) x%!(EXTRA int=1) 1.50 <nil> %!s(int64=3)",
        ),
        (
            "{{eq .nil nil}} {{eq .nope .nil}} {{eq .int 1 2 3}} {{ne .int 1}}",
            "true true true true",
        ),
        (
            "{{with $x := .int}}{{$x}}{{end}}{{with .nope}}{{else with .int}}w{{.}}{{end}}",
            "3w3",
        ),
        ("{{len .str}} {{index .str 0}}", "16 60"),
        (
            "{{not .empty}} {{if .empty}}x{{else}}e{{end}} {{if .metadata}}m{{end}}",
            "true e m",
        ),
    ] {
        let (text, result) = Template::parse(template).expect(template).print(&data());
        assert_eq!(result, Ok(()), "{template}");
        assert_eq!(text, wanted, "{template}");
    }
}

#[test]
fn complaints_of_running_are_upstreams() {
    for (template, wanted) in [
        (
            "{{.int.foo}}",
            "1:6: executing \"output\" at <.int.foo>: can't evaluate field foo in type interface {}",
        ),
        (
            "{{.nil.foo}}",
            "1:6: executing \"output\" at <.nil.foo>: nil pointer evaluating interface {}.foo",
        ),
        (
            "{{eq .int \"x\"}}",
            "1:2: executing \"output\" at <eq .int \"x\">: error calling eq: incompatible types for comparison",
        ),
        (
            "{{lt .list 1}}",
            "1:2: executing \"output\" at <lt .list 1>: error calling lt: invalid type for comparison",
        ),
        (
            "{{index .list 7}}",
            "1:2: executing \"output\" at <index .list 7>: error calling index: index out of range: 7",
        ),
        (
            "{{template \"nope\"}}",
            "1:11: executing \"output\" at <{{template \"nope\"}}>: template \"nope\" not defined",
        ),
        (
            "{{len 3}}",
            "1:2: executing \"output\" at <len 3>: error calling len: len of type int",
        ),
        (
            "a {{nil}}",
            "1:4: executing \"output\" at <nil>: nil is not a command",
        ),
        (
            "{{base64decode \"%%\"}}",
            "1:2: executing \"output\" at <base64decode \"%%\">: error calling base64decode: base64 decode failed: illegal base64 data at input byte 0",
        ),
        (
            "{{call .int}}",
            "1:2: executing \"output\" at <call .int>: error calling call: non-function .int of type int64",
        ),
        (
            "{{\"x\" \"y\"}}",
            "1:2: executing \"output\" at <\"x\">: can't give argument to non-function \"x\"",
        ),
        (
            "{{len .nope}}",
            "1:2: executing \"output\" at <len .nope>: error calling len: reflect: call of reflect.Value.Type on zero Value",
        ),
        (
            "{{.metadata.labels.a.b}}",
            "1:11: executing \"output\" at <.metadata.labels.a.b>: can't evaluate field b in type interface {}",
        ),
    ] {
        let (text, result) = Template::parse(template).expect(template).print(&data());
        let Err(Error(why)) = result else {
            panic!("{template} gave {text}");
        };
        let quoted = meta::field::quote(template);
        assert_eq!(
            why,
            format!("error executing template {quoted}: template: output:{wanted}")
        );
        assert!(
            text.contains(
                "Printing more information for debugging the template:\n\ttemplate was:\n"
            )
        );
    }
}

#[test]
fn complaints_of_reading_are_upstreams() {
    for (template, wanted) in [
        ("{{nofunc 1}}", "function \"nofunc\" not defined"),
        ("{{if}}x{{end}}", "missing value for if"),
        ("{{range .users}}", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{$y}}", "undefined variable \"$y\""),
        ("{{ \"unterminated }}", "unterminated quoted string"),
        ("{{break}}", "{{break}} outside {{range}}"),
    ] {
        let error = Template::parse(template).expect_err(template).to_string();
        let start = format!("error parsing template {template}, template: output:1: ");
        assert_eq!(error, start + wanted);
    }
}
