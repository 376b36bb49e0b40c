//! A command in a container over SPDY, for servers that do not know its channels yet.
//!
//! Follows staging/src/k8s.io/client-go/tools/remotecommand (v1.go to v4.go).

use super::dial::Raw;
use super::outcome;
use super::remote::{Ends, Fed, Output, deliver, finish, piece, size_text};
use super::terminal::Sizes;
use crate::error::{Result, said};
use bytes::Bytes;
use spdy::{Headers, Receiver, Role, Sender, Session, session};
use std::future::pending;
use streams::protocol::{V3, V4};

/// The streams of a conversation.
struct Opened {
    error: Receiver,
    stdin: Option<Sender>,
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    resize: Option<Sender>,
}

pub(super) async fn talk(raw: Box<dyn Raw>, protocol: &str, ends: Ends) -> Result {
    let (session, driver) = session(raw, Role::Client, stdx::Clock::system());
    let talking = async {
        let opened = open(&session, protocol, &ends).await?;
        join(opened, protocol, ends).await
    };
    tokio::select! {
        outcome = talking => outcome,
        () = driver => said("error reading from error stream: unexpected EOF"),
    }
}

async fn open(session: &Session, protocol: &str, ends: &Ends) -> Result<Opened> {
    let stream = |kind: &'static str| async move {
        let headers = Headers::default().with("streamtype", kind);
        let opened = session.open(headers).await;
        match opened {
            Ok(stream) => Ok(stream.split()),
            Err(error) => said(format!("error creating {kind} stream: {error}")),
        }
    };
    let (_, error) = stream("error").await?;
    let mut opened = Opened {
        error,
        stdin: None,
        stdout: None,
        stderr: None,
        resize: None,
    };
    if ends.stdin.is_some() {
        opened.stdin = Some(stream("stdin").await?.0);
    }
    if ends.stdout.is_some() {
        opened.stdout = Some(stream("stdout").await?.1);
    }
    if ends.stderr.is_some() {
        opened.stderr = Some(stream("stderr").await?.1);
    }
    if ends.sizes.is_some() && [V3, V4].contains(&protocol) {
        opened.resize = Some(stream("resize").await?.0);
    }
    Ok(opened)
}

async fn join(mut opened: Opened, protocol: &str, ends: Ends) -> Result {
    let hearing = async {
        let (out, err) = tokio::join!(
            pump(opened.stdout, ends.stdout),
            pump(opened.stderr, ends.stderr)
        );
        out.and(err)?;
        let mut told = Vec::new();
        while let Some(bytes) = opened.error.recv().await {
            told.extend_from_slice(&bytes);
        }
        match protocol {
            V4 => outcome::read(&told),
            _ => outcome::read_plain(&told),
        }
    };
    let feeding = async {
        if let (Some(mut stdin), Some(to)) = (ends.stdin, opened.stdin) {
            let mut detach = ends.detach;
            let fed = loop {
                match piece(&mut *stdin, &mut detach).await {
                    Ok(bytes) => {
                        if to.send(bytes).await.is_err() {
                            break Fed::All;
                        }
                    }
                    Err(fed) => break fed,
                }
            };
            to.finish().await;
            if matches!(fed, Fed::Detached) {
                return;
            }
        }
        pending().await
    };
    tokio::select! {
        outcome = hearing => outcome,
        () = feeding => Ok(()),
        () = tell_sizes(ends.sizes, opened.resize) => Ok(()),
    }
}

async fn pump(from: Option<Receiver>, mut to: Option<Output>) -> Result {
    let Some(mut from) = from else { return Ok(()) };
    while let Some(bytes) = from.recv().await {
        deliver(&mut to, &bytes).await?;
    }
    finish(&mut to).await
}

async fn tell_sizes(sizes: Option<Sizes>, to: Option<Sender>) {
    if let (Some(mut sizes), Some(to)) = (sizes, to) {
        while let Some(size) = sizes.next().await {
            if to.send(Bytes::from(size_text(size))).await.is_err() {
                break;
            }
        }
    }
    pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streaming::remote::tests::Kept;
    use tokio::io::duplex;

    /// A server that echoes its input, then says how it went.
    async fn serve(io: tokio::io::DuplexStream, told: &'static str) {
        let (mut session, driver) = session(io, Role::Server, stdx::Clock::system());
        let serving = async {
            let mut opened = Vec::new();
            while opened.len() < 3 {
                let stream = session.accept().await.expect("a stream");
                let kind = stream
                    .headers
                    .get("streamtype")
                    .unwrap_or_default()
                    .to_owned();
                let halves = stream.reply().await.expect("a client");
                opened.push((kind, halves));
            }
            let mut take = |kind: &str| {
                let at = opened.iter().position(|(known, _)| known == kind);
                opened.remove(at.expect("the stream")).1
            };
            let (error, _) = take("error");
            let (_, mut stdin) = take("stdin");
            let (stdout, _) = take("stdout");
            while let Some(bytes) = stdin.recv().await {
                stdout.send(bytes).await.expect("a client");
            }
            stdout.finish().await;
            error
                .send(Bytes::from_static(told.as_bytes()))
                .await
                .expect("a client");
            error.finish().await;
            session.accept().await
        };
        tokio::select! {
            _ = serving => {}
            () = driver => {}
        }
    }

    async fn converse_with(protocol: &str, told: &'static str) -> (String, usize) {
        let (here, there) = duplex(1 << 10);
        let server = tokio::spawn(serve(there, told));
        let out = Kept::default();
        let ends = Ends {
            stdin: Some(Box::new(std::io::Cursor::new(vec![7; 300_000]))),
            stdout: Some(Box::new(out.clone())),
            ..Ends::default()
        };
        let outcome = talk(Box::new(here), protocol, ends).await;
        server.await.expect("a server that ends");
        let words = outcome.map_or_else(|error| error.to_string(), |()| "well".to_string());
        (words, out.take().len())
    }

    #[tokio::test]
    async fn servers_of_before_are_spoken_with() {
        assert_eq!(converse_with(V4, "").await, ("well".into(), 300_000));
        let failed = r#"{"status":"Failure","message":"no"}"#;
        assert_eq!(converse_with(V4, failed).await, ("no".into(), 300_000));
        assert_eq!(
            converse_with(V3, "no").await,
            ("error executing remote command: no".into(), 300_000)
        );
    }
}
