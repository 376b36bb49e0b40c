//! Commands, terminals, standard input, attaching and forwarded ports.

use std::time::Duration;

use container::runtime::{Streams, TerminalSize};
use container::{Error, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use crate::node::{BOUND, Node, until};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn read_all(mut stream: DuplexStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn commands_run_in_the_container() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut config = node.container_config("exec", "sleep 1000");
    config.env.push(container::config::EnvVar {
        name: "A".into(),
        value: "b".into(),
    });
    config.working_dir = "/tmp".into();
    let (_, id) = node.start(config).await;
    let command = words(&["sh", "-c", "echo $A; pwd; echo oops >&2; exit 5"]);
    let output = node.runtime.exec_sync(&id, &command, BOUND).await.unwrap();
    assert_eq!(output.stdout, b"b\n/tmp\n");
    assert_eq!(
        (output.stderr.as_slice(), output.exit_code),
        (b"oops\n".as_slice(), 5)
    );
    let output = node
        .runtime
        .exec_sync(&id, &words(&["sh", "-c", "kill -9 $$"]), BOUND)
        .await;
    assert_eq!(output.unwrap().exit_code, 137);
    let error = node
        .runtime
        .exec_sync(&id, &words(&["nope"]), BOUND)
        .await
        .unwrap_err();
    let expected = r#"exec: "nope": executable file not found in $PATH"#;
    assert!(
        matches!(&error, Error::Start(text) if text == expected),
        "{error}"
    );
    // A command belongs to the container's cgroup and namespaces.
    assert_eq!(node.sh(&id, "cat /proc/1/comm").await, "sleep");
    let groups = node.sh(&id, "cat /proc/self/cgroup").await;
    assert!(groups.lines().all(|line| line.ends_with(&id)), "{groups}");
    node.finish().await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (_, id) = node
        .start(node.container_config("slow", "sleep 1000"))
        .await;
    let command = words(&["sh", "-c", "sleep 7654"]);
    let timeout = Duration::from_millis(50);
    let error = node
        .runtime
        .exec_sync(&id, &command, timeout)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Timeout { after_ms: 50, .. }),
        "{error}"
    );
    until("it is gone", async || {
        node.sh(&id, "ps | grep -c '[s]leep 7654'").await == "0"
    })
    .await;
    // What stays in the background holds the output open, but not the answer.
    assert_eq!(node.sh(&id, "sleep 7655 & echo done").await, "done");
    node.finish().await;
}

#[tokio::test]
async fn standard_input_flows() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (_, id) = node
        .start(node.container_config("stdin", "sleep 1000"))
        .await;
    let (mut feed, stdin) = tokio::io::duplex(64);
    let (stdout, out) = tokio::io::duplex(1 << 20);
    let streams = Streams {
        stdin: Some(Box::new(stdin)),
        stdout: Some(Box::new(stdout)),
        ..Streams::default()
    };
    let feeding = async {
        for line in 0..5000 {
            feed.write_all(format!("{line}\n").as_bytes())
                .await
                .unwrap();
        }
        drop(feed);
    };
    let command = words(&["wc", "-l"]);
    let (code, text, ()) = tokio::join!(
        node.runtime.exec(&id, &command, streams),
        read_all(out),
        feeding
    );
    assert_eq!((code.unwrap(), text.trim()), (0, "5000"));
    node.finish().await;
}

#[tokio::test]
async fn a_terminal_is_one() {
    let Some(node) = Node::new().await else {
        return;
    };
    let (_, id) = node.start(node.container_config("tty", "sleep 1000")).await;
    let (mut keys, stdin) = tokio::io::duplex(4096);
    let (stdout, out) = tokio::io::duplex(1 << 20);
    let (resize, sizes) = mpsc::channel(4);
    resize
        .send(TerminalSize {
            width: 123,
            height: 45,
        })
        .await
        .unwrap();
    let streams = Streams {
        stdin: Some(Box::new(stdin)),
        stdout: Some(Box::new(stdout)),
        tty: true,
        resize: Some(sizes),
        ..Streams::default()
    };
    let script = "tty; echo $TERM; read line; stty size; echo \"got $line\"; exit 4";
    let command = words(&["sh", "-c", script]);
    let typing = async {
        keys.write_all(b"typed\n").await.unwrap();
        keys
    };
    let (code, text, _keys) = tokio::join!(
        node.runtime.exec(&id, &command, streams),
        read_all(out),
        typing
    );
    assert_eq!(code.unwrap(), 4);
    let text = text.replace('\r', "");
    // What is typed is echoed wherever it comes.
    assert!(text.contains("/dev/pts/0\nxterm\n"), "{text}");
    assert!(text.ends_with("45 123\ngot typed\n"), "{text}");
    node.finish().await;
}

#[tokio::test]
async fn a_container_can_be_attached_to() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut config =
        node.container_config("attach", "while read l; do echo \"<$l>\"; done; exit 6");
    (config.stdin, config.stdin_once) = (true, true);
    let (_, id) = node.start(config).await;
    let (mut feed, stdin) = tokio::io::duplex(4096);
    let (stdout, out) = tokio::io::duplex(1 << 20);
    let streams = Streams {
        stdin: Some(Box::new(stdin)),
        stdout: Some(Box::new(stdout)),
        ..Streams::default()
    };
    let feeding = async {
        feed.write_all(b"one\ntwo\n").await.unwrap();
        drop(feed);
    };
    let (result, text, ()) =
        tokio::join!(node.runtime.attach(&id, streams), read_all(out), feeding);
    result.unwrap();
    assert_eq!(text, "<one>\n<two>\n");
    assert_eq!(node.exited(&id).await.exit_code, 6);
    assert_eq!(node.log("attach"), "stdout F <one>\nstdout F <two>");
    node.finish().await;
}

#[tokio::test]
async fn a_container_may_have_a_terminal() {
    let Some(node) = Node::new().await else {
        return;
    };
    let mut config = node.container_config(
        "console",
        "tty; ls -l /dev/console | cut -c1; read l; stty size; echo \"<$l>\"",
    );
    (config.stdin, config.tty) = (true, true);
    let (_, id) = node.start(config).await;
    let (mut feed, stdin) = tokio::io::duplex(4096);
    let (stdout, out) = tokio::io::duplex(1 << 20);
    let (resize, sizes) = mpsc::channel(4);
    let streams = Streams {
        stdin: Some(Box::new(stdin)),
        stdout: Some(Box::new(stdout)),
        resize: Some(sizes),
        ..Streams::default()
    };
    resize
        .send(TerminalSize {
            width: 99,
            height: 33,
        })
        .await
        .unwrap();
    let feeding = async {
        until("it is ready", async || node.log("console").contains("pts")).await;
        until("the size is taken", async || resize.capacity() == 4).await;
        feed.write_all(b"hi\n").await.unwrap();
        feed
    };
    let (result, _, _feed) =
        tokio::join!(node.runtime.attach(&id, streams), read_all(out), feeding);
    result.unwrap();
    let log = node.log("console").replace('\r', "");
    for line in ["/dev/pts/0", "c", "hi", "33 99"] {
        assert!(
            log.lines().any(|one| one == format!("stdout F {line}")),
            "{line}: {log}"
        );
    }
    assert!(log.ends_with("stdout F <hi>"), "{log}");
    node.finish().await;
}

#[tokio::test]
async fn a_port_is_forwarded() {
    let Some(node) = Node::new().await else {
        return;
    };
    let script = "while :; do echo answer | nc -l -p 8080; done";
    let (sandbox, id) = node.start(node.container_config("port", script)).await;
    until("it listens", async || {
        node.sh(&id, "netstat -ltn | grep -c :8080").await == "1"
    })
    .await;
    let (ours, theirs) = tokio::io::duplex(4096);
    let client = async {
        let (mut reader, mut writer) = tokio::io::split(ours);
        writer.write_all(b"question\n").await.unwrap();
        writer.shutdown().await.unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        text
    };
    let forward = node.runtime.port_forward(&sandbox, 8080, Box::new(theirs));
    let (result, text) = tokio::join!(forward, client);
    result.unwrap();
    assert_eq!(text, "answer\n");
    let (_ours, theirs) = tokio::io::duplex(64);
    let error = node
        .runtime
        .port_forward(&sandbox, 9, Box::new(theirs))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    node.finish().await;
}
