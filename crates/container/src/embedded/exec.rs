//! Commands in containers, their streams, attaching, and forwarded ports.
//!
//! Without a terminal the pipes of this process are the command's own standard
//! streams; with one, the monitor hands the terminal's master over. Either way
//! the bytes do not pass through the monitor.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::Shared;
use super::link::{Asked, Link};
use super::state::Found;
use super::terminal::Terminal;
use crate::error::{Error, Result};
use crate::protocol::{Answer, Operation};
use crate::runtime::{Duplex, ExecOutput, Input, Output, Streams, TerminalSize};
use crate::status::ContainerState;

/// Bytes of each stream that [`collect`] keeps, as the kubelet of upstream does.
const COLLECT_MAX: usize = 16 << 20;
/// What is moved at a time: as much as a pipe holds.
const PIECE: usize = 64 << 10;
/// How long to wait, after a command ended, for streams that something it left
/// behind still holds open.
const DRAIN_FOR: Duration = Duration::from_secs(1);

/// Runs a command and keeps what it writes.
pub(super) async fn collect(
    shared: &Arc<Shared>,
    id: &str,
    command: &[String],
    timeout: Duration,
) -> Result<ExecOutput> {
    let (stdout, stderr) = (Kept::default(), Kept::default());
    let streams = Streams {
        stdout: Some(Box::new(stdout.clone())),
        stderr: Some(Box::new(stderr.clone())),
        ..Streams::default()
    };
    let run = stream(shared, id, command, streams, true);
    let exit_code = if timeout.is_zero() {
        run.await?
    } else {
        let after_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let late = |_| Error::Timeout {
            operation: "the command",
            after_ms,
        };
        // Dropping the connection makes the monitor kill it.
        shared.clock.timeout(timeout, run).await.map_err(late)??
    };
    Ok(ExecOutput {
        stdout: stdout.take(),
        stderr: stderr.take(),
        exit_code,
    })
}

/// Runs a command with streams.
pub(super) async fn stream(
    shared: &Arc<Shared>,
    id: &str,
    command: &[String],
    mut streams: Streams,
    kill_on_close: bool,
) -> Result<i32> {
    let found = shared.state.container(id)?;
    found.require(ContainerState::Running, "run a command in it")?;
    let operation = Operation::Exec {
        container: id.to_owned(),
        command: command.to_vec(),
        tty: streams.tty,
        // The program should find the size that is known already.
        size: streams
            .resize
            .as_mut()
            .and_then(|sizes| sizes.try_recv().ok()),
        kill_on_close,
    };
    if streams.tty {
        with_terminal(shared, &found, operation, streams).await
    } else {
        with_pipes(shared, &found, operation, streams).await
    }
}

async fn with_terminal(
    shared: &Shared,
    found: &Found,
    operation: Operation,
    streams: Streams,
) -> Result<i32> {
    let asked = found.asked("run a command");
    let (mut link, _) = asked.ask(operation, &[]).await?;
    let master = link.take_fds().pop();
    let master = master.ok_or_else(|| asked.failed(io::ErrorKind::InvalidData.into()))?;
    let terminal = Terminal::new(master).map_err(broken("exec"))?;
    let output = copy_out(Some(terminal.clone()), streams.stdout);
    let input = type_in(terminal.clone(), streams.stdin);
    let resize = resize(streams.resize, |size| {
        // A terminal that is gone needs no size.
        let _ = terminal.resize(size);
        std::future::ready(())
    });
    let outputs = async {
        output.await;
    };
    finish(shared, &asked, &mut link, outputs, input, resize).await
}

async fn with_pipes(
    shared: &Shared,
    found: &Found,
    operation: Operation,
    streams: Streams,
) -> Result<i32> {
    let asked = found.asked("run a command");
    let (stdin, their_stdin) = input_pipe(streams.stdin.is_some()).map_err(broken("exec"))?;
    let (stdout, their_stdout) = output_pipe(streams.stdout.is_some()).map_err(broken("exec"))?;
    let (stderr, their_stderr) = output_pipe(streams.stderr.is_some()).map_err(broken("exec"))?;
    let fds = [
        their_stdin.as_fd(),
        their_stdout.as_fd(),
        their_stderr.as_fd(),
    ];
    let (mut link, _) = asked.ask(operation, &fds).await?;
    drop((their_stdin, their_stdout, their_stderr));
    let outputs = async {
        tokio::join!(
            copy_out(stdout, streams.stdout),
            copy_out(stderr, streams.stderr)
        );
    };
    let input = copy_in(streams.stdin, stdin);
    finish(
        shared,
        &asked,
        &mut link,
        outputs,
        input,
        resize(streams.resize, |_| async {}),
    )
    .await
}

/// Moves bytes until the command has ended and its output is delivered.
async fn finish(
    shared: &Shared,
    asked: &Asked<'_>,
    link: &mut Link,
    outputs: impl Future<Output = ()>,
    input: impl Future<Output = ()>,
    resize: impl Future<Output = ()>,
) -> Result<i32> {
    let moving = async { tokio::join!(input, resize) };
    tokio::pin!(outputs, moving);
    let mut delivered = false;
    let exited = asked.next(link);
    tokio::pin!(exited);
    let mut moved = false;
    let answer = loop {
        tokio::select! {
            answer = &mut exited => break answer?,
            () = &mut outputs, if !delivered => delivered = true,
            _ = &mut moving, if !moved => moved = true,
        }
    };
    if !delivered {
        // What holds the streams open longer has been left in the background.
        let _ = shared.clock.timeout(DRAIN_FOR, outputs).await;
    }
    match answer {
        Answer::Exited { code } => Ok(code),
        _ => Err(asked.failed(io::ErrorKind::InvalidData.into())),
    }
}

/// Connects streams to a container's own.
pub(super) async fn attach(shared: &Arc<Shared>, id: &str, streams: Streams) -> Result<()> {
    let found = shared.state.container(id)?;
    found.require(ContainerState::Running, "attach to it")?;
    let tty = found.file.config.tty;
    let asked = found.asked("attach");
    let want_stdin = streams.stdin.is_some() && found.file.config.stdin;
    let want_stderr = streams.stderr.is_some() && !tty;
    let (stdin, their_stdin) = input_pipe(want_stdin).map_err(broken("attach"))?;
    let (stdout, their_stdout) = output_pipe(streams.stdout.is_some()).map_err(broken("attach"))?;
    let (stderr, their_stderr) = output_pipe(want_stderr).map_err(broken("attach"))?;
    let wanted = [want_stdin, streams.stdout.is_some(), want_stderr];
    let operation = Operation::Attach {
        container: id.to_owned(),
        stdin: wanted[0],
        stdout: wanted[1],
        stderr: wanted[2],
    };
    let all = [&their_stdin, &their_stdout, &their_stderr];
    let fds: Vec<_> = all
        .into_iter()
        .zip(wanted)
        .filter(|(_, on)| *on)
        .map(|(fd, _)| fd.as_fd())
        .collect();
    let (mut link, _) = asked.ask(operation, &fds).await?;
    drop((their_stdin, their_stdout, their_stderr));
    let outputs = async {
        tokio::join!(
            copy_out(stdout, streams.stdout),
            copy_out(stderr, streams.stderr)
        );
    };
    let resize = resize(streams.resize, async |size| {
        let operation = Operation::Resize {
            container: id.to_owned(),
            size,
        };
        // A container that is ending needs no size.
        let _ = found.asked("resize a terminal").ask(operation, &[]).await;
    });
    let input = copy_in(streams.stdin.filter(|_| want_stdin), stdin);
    finish(shared, &asked, &mut link, outputs, input, resize)
        .await
        .map(|_| ())
}

/// Connects a stream to a port of the sandbox.
pub(super) async fn forward(
    shared: &Arc<Shared>,
    sandbox: &str,
    port: u16,
    mut stream: Box<dyn Duplex>,
) -> Result<()> {
    let directory = shared.state.sandbox_dir(sandbox)?;
    let asked = Asked {
        sandbox,
        directory: &directory,
        operation: "forward a port",
    };
    let mut socket = match connect(&asked, port, false).await {
        Ok(socket) => socket,
        // Some programs listen on IPv6 only; the first refusal is the one to tell.
        Err(error) => connect(&asked, port, true).await.map_err(|_| error)?,
    };
    let copied =
        tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut socket, PIECE, PIECE).await;
    copied.map(|_| ()).map_err(broken("port-forward"))
}

async fn connect(asked: &Asked<'_>, port: u16, ipv6: bool) -> Result<TcpStream> {
    let (mut link, _) = asked.ask(Operation::Connect { port, ipv6 }, &[]).await?;
    let fd = link.take_fds().pop();
    let fd = fd.ok_or_else(|| asked.failed(io::ErrorKind::InvalidData.into()))?;
    let refused = |error: io::Error| Error::Failed {
        operation: "forward a port",
        message: format!("failed to connect to localhost:{port} inside the pod: {error}"),
    };
    let socket = TcpStream::from_std(fd.into()).map_err(refused)?;
    socket.writable().await.map_err(refused)?;
    match socket.take_error().map_err(refused)? {
        Some(error) => Err(refused(error)),
        None => Ok(socket),
    }
}

fn broken(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Stream { operation, source }
}

/// Our end and the command's end of its standard input; `/dev/null` when unwanted.
fn input_pipe(wanted: bool) -> io::Result<(Option<pipe::Sender>, OwnedFd)> {
    if !wanted {
        return Ok((None, null()?));
    }
    let (reader, writer) = io::pipe()?;
    Ok((
        Some(pipe::Sender::from_owned_fd(writer.into())?),
        reader.into(),
    ))
}

fn output_pipe(wanted: bool) -> io::Result<(Option<pipe::Receiver>, OwnedFd)> {
    if !wanted {
        return Ok((None, null()?));
    }
    let (reader, writer) = io::pipe()?;
    Ok((
        Some(pipe::Receiver::from_owned_fd(reader.into())?),
        writer.into(),
    ))
}

fn null() -> io::Result<OwnedFd> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    Ok(file.into())
}

/// Feeds a command until either side ends.
async fn copy_in(from: Option<Input>, to: Option<pipe::Sender>) {
    if let (Some(mut from), Some(mut to)) = (from, to) {
        // A command that closes its input, or a caller that leaves, ends the copy.
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            if to.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
    }
}

async fn type_in(mut terminal: Terminal, from: Option<Input>) {
    let Some(mut from) = from else { return };
    if tokio::io::copy(&mut from, &mut terminal).await.is_ok() {
        // The caller's input has ended, which a terminal spells so.
        let _ = terminal.write_all(Terminal::END_OF_INPUT).await;
    }
}

/// Delivers output until it ends. A caller that no longer reads does not stop the
/// command: the rest is thrown away.
async fn copy_out(from: Option<impl AsyncRead + Unpin>, to: Option<Output>) {
    let Some(mut from) = from else { return };
    let mut to = to;
    let mut buffer = vec![0; PIECE];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        if let Some(sink) = &mut to
            && (sink.write_all(&buffer[..length]).await.is_err() || sink.flush().await.is_err())
        {
            to = None;
        }
    }
    if let Some(mut sink) = to {
        // It has all been delivered.
        let _ = sink.shutdown().await;
    }
}

async fn resize<F: Future<Output = ()>>(
    sizes: Option<mpsc::Receiver<TerminalSize>>,
    mut apply: impl FnMut(TerminalSize) -> F,
) {
    let Some(mut sizes) = sizes else { return };
    while let Some(size) = sizes.recv().await {
        apply(size).await;
    }
}

/// A sink that keeps the beginning.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AsyncWrite for Kept {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = COLLECT_MAX - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}
