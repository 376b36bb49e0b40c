//! From here to a container.

use super::place::{Place, clean, folder, join, last};
use super::{Copy, pack::pack};
use crate::error::{Error, Result, said};
use crate::streaming::remote::Ends;
use crate::streaming::standard;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::unix::pipe;

/// How long it may take to say whether the destination is a folder.
const LOOK: Duration = Duration::from_secs(30);

pub(super) async fn upload(copy: &Copy<'_>, from: &Place, to: &Place) -> Result {
    let to = match is_folder(copy, &to.path).await? {
        true => join(&to.path, last(&from.path)),
        false => to.path.clone(),
    };
    let mut command = vec!["tar".to_string()];
    if copy.args.no_preserve {
        command.extend(["--no-same-permissions", "--no-same-owner"].map(str::to_string));
    }
    command.extend(["-xmf", "-"].map(str::to_string));
    command.extend(["-C".to_string(), folder(&to)]);
    let (reader, writer) =
        std::io::pipe().or_else(|error| said(format!("make a pipe for the archive: {error}")))?;
    let stdin = pipe::Receiver::from_owned_fd(reader.into())
        .or_else(|error| said(format!("read the pipe of the archive: {error}")))?;
    let source = PathBuf::from(clean(&from.path));
    let name = last(&clean(&to)).to_string();
    let packing = tokio::task::spawn_blocking(move || pack(&source, &name, writer));
    let ends = Ends {
        stdin: Some(Box::new(stdin)),
        stdout: Some(standard::output()),
        stderr: Some(standard::errors()),
        ..Ends::default()
    };
    let executing = copy.execute(&command, ends);
    tokio::pin!(executing);
    tokio::select! {
        outcome = &mut executing => outcome,
        packed = packing => {
            packed.or_else(|error| said(format!("make the archive: {error}")))??;
            executing.await
        }
    }
}

async fn is_folder(copy: &Copy<'_>, path: &str) -> Result<bool> {
    let command = ["test", "-d", path].map(str::to_string);
    let ends = Ends {
        stdout: Some(Box::new(tokio::io::sink())),
        stderr: Some(Box::new(tokio::io::sink())),
        ..Ends::default()
    };
    match tokio::time::timeout(LOOK, copy.execute(&command, ends)).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error @ (Error::Refused(_) | Error::Transport { .. }))) => Err(error),
        Ok(Err(_)) => Ok(false),
        Err(_) => said("context deadline exceeded"),
    }
}
