//! Two sessions and the wire between them.

use super::*;

fn pair() -> (Session, Session, tokio::task::JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let (client, client_driver) = session(ours, Role::Client, Clock::system());
    let (server, server_driver) = session(theirs, Role::Server, Clock::system());
    let drivers = tokio::spawn(async {
        tokio::select! {
            () = client_driver => {}
            () = server_driver => {}
        }
    });
    (client, server, drivers)
}

async fn all(mut receiver: Receiver) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(bytes) = receiver.recv().await {
        out.extend_from_slice(&bytes);
    }
    out
}

#[tokio::test]
async fn streams_carry_bytes_both_ways_and_end_by_halves() {
    let (client, mut server, _drivers) = pair();
    let echo = tokio::spawn(async move {
        while let Some(stream) = server.accept().await {
            assert_eq!(stream.headers.get("streamtype"), Some("data"));
            let (sender, mut receiver) = stream.reply().await.unwrap();
            tokio::spawn(async move {
                while let Some(bytes) = receiver.recv().await {
                    sender.send(bytes).await.unwrap();
                }
                sender.send(Bytes::from_static(b"end")).await.unwrap();
                sender.finish().await;
            });
        }
    });
    for length in [0, 10, 300_000] {
        let headers = Headers::default().with("streamType", "data");
        let (sender, receiver) = client.open(headers).await.unwrap().split();
        let sent = vec![7; length];
        let bytes = Bytes::from(sent.clone());
        let sending = async {
            sender.send(bytes).await.unwrap();
            sender.finish().await;
        };
        let ((), heard) = tokio::join!(sending, all(receiver));
        assert_eq!(heard, [&sent[..], b"end"].concat());
        assert_eq!(sender.send(Bytes::from_static(b"x")).await, Err(Closed));
    }
    assert!(client.shared.state().streams.is_empty());
    drop(echo);
}

#[tokio::test]
async fn a_reader_that_stalls_stops_only_its_own_stream() {
    let (client, mut server, _drivers) = pair();
    let (stalled, _kept) = client.open(Headers::default()).await.unwrap().split();
    let (_reply, stalled_receiver) = server.accept().await.unwrap().reply().await.unwrap();
    let (lively, mut lively_reply) = client.open(Headers::default()).await.unwrap().split();
    let (reply, mut lively_receiver) = server.accept().await.unwrap().reply().await.unwrap();
    // Windows are kept once the peer has given some room back.
    let first = lively.send(vec![0; 32 << 10].into());
    let ((), sent) = tokio::join!(count(&mut lively_receiver, 32 << 10), first);
    sent.unwrap();
    reply.send(Bytes::from_static(b"ok")).await.unwrap();
    assert!(lively_reply.recv().await.is_some());
    let flood = tokio::spawn(async move { stalled.send(vec![1; 10 << 20].into()).await });
    let more = lively.send(vec![2; 1 << 20].into());
    let ((), sent) = tokio::join!(count(&mut lively_receiver, 1 << 20), more);
    sent.unwrap();
    assert!(!flood.is_finished());
    drop(stalled_receiver);
    flood.abort();
}

async fn count(receiver: &mut Receiver, expected: usize) {
    let mut count = 0;
    while count < expected {
        count += receiver.recv().await.unwrap().len();
    }
    assert_eq!(count, expected);
}

#[tokio::test]
async fn what_is_cut_off_ends_at_both_sides() {
    let (client, mut server, drivers) = pair();
    let (sender, receiver) = client.open(Headers::default()).await.unwrap().split();
    server.accept().await.unwrap().refuse(Reset::REFUSED);
    assert!(all(receiver).await.is_empty());
    assert_eq!(sender.send(Bytes::from_static(b"x")).await, Err(Closed));
    let (sender, receiver) = client.open(Headers::default()).await.unwrap().split();
    let (_kept, theirs) = server.accept().await.unwrap().reply().await.unwrap();
    sender.reset(Reset::CANCEL);
    assert!(all(theirs).await.is_empty());
    assert!(all(receiver).await.is_empty());
    // The end of the connection is the end of everything.
    let (sender, receiver) = client.open(Headers::default()).await.unwrap().split();
    let (_kept, theirs) = server.accept().await.unwrap().reply().await.unwrap();
    drivers.abort();
    assert!(drivers.await.is_err());
    drop(client);
    let _ = sender.send(Bytes::from_static(b"x")).await;
    assert!(server.accept().await.is_none());
    drop((receiver, theirs));
}
