//! `replace`: replaces objects by what files say.

use crate::change::{Write, WriteArgs};
use crate::deleting::{DeleteArgs, remove};
use crate::error::{Error, Result, said};
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{FileArgs, from_files};
use crate::shell::Shell;
use crate::{io, words};
use http::Method;

/// The arguments of `replace`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    delete: DeleteArgs,
    /// If true, the configuration of current object will be saved in its annotation.
    #[arg(long)]
    save_config: bool,
    /// If specified, replace will operate on the subresource of the requested object.
    #[arg(long, default_value = "")]
    subresource: String,
    /// Raw URI to PUT to the server.
    #[arg(long)]
    raw: Option<String>,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if args.files.is_empty() {
        return said("must specify one of -f and -k");
    }
    if let Some(path) = &args.raw {
        let text = match args.files.filename.as_slice() {
            [file] => io::read(file)?,
            _ => return said("--raw can only use a single local file or stdin"),
        };
        io::bytes(&shell.api().await?.send_raw(Method::PUT, path, text).await?);
        return Ok(());
    }
    args.delete.check()?;
    let dry_run = args.dry_run.get()?;
    let write = Write::new(&args.write, "kubectl-replace", dry_run)?;
    let mut reporter = args.print.reporter(dry_run)?;
    let mut errors = Vec::new();
    for mut info in from_files(shell, &args.files).await? {
        if args.save_config || had_config(&info) {
            info.object = super::apply::with_last_applied(&info.object);
        }
        let doing = format!("error when replacing {}", words::quote(&info.source));
        if args.delete.force {
            if dry_run == DryRun::None {
                let how = args.delete.deletion(dry_run)?;
                remove(shell, &info, &how, args.delete.limit()?).await?;
                io::line(format!(
                    "{} {} deleted",
                    info.resource.prefix(),
                    words::quote(&info.name)
                ));
            }
            reporter.report(&write.create(shell, &info).await?, "replaced")?;
            continue;
        }
        if !args.subresource.is_empty() {
            info.name = format!("{}/{}", info.name, args.subresource);
        }
        let object = match write.is_local() {
            true => Ok(info.object.clone()),
            false => write.replace(shell, &info).await,
        };
        match object {
            Ok(object) => reporter.report(&object, "replaced")?,
            Err(error) => errors.push(error.doing(&doing)),
        }
    }
    Error::collect(errors)
}

/// What was applied once is kept true. Upstream calls it CreateOrUpdateAnnotation.
fn had_config(info: &crate::select::Info) -> bool {
    let annotations = info.object.at(&["metadata", "annotations"]);
    annotations.is_some_and(|all| all.get(super::apply::LAST_APPLIED).is_some())
}
