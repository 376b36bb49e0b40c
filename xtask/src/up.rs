//! `cargo xtask up`: from a clone to an application that answers. Its cluster
//! lives below `target/up` and stays until `cargo xtask down`.

use anyhow::{Context as _, Result, bail};
use images::build::{NginxFiles, busybox_image, nginx_image, write_oci};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The example's images, as its manifests name them.
const BUSYBOX: &str = "docker.io/library/busybox:1.35";
const NGINX: &str = "docker.io/library/nginx:1.22";
/// How long the server and the application may take, in seconds.
const PATIENCE: u32 = 120;

struct Places {
    binary: PathBuf,
    data: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    pid: PathBuf,
}

impl Places {
    fn below(root: &Path) -> Self {
        let up = root.join("target/up");
        Places {
            binary: root.join("target/release/tiphys"),
            data: up.join("data"),
            kubeconfig: up.join("kubeconfig.yaml"),
            log: up.join("server.log"),
            pid: up.join("server.pid"),
        }
    }
}

/// Builds, starts, applies, shows.
pub fn up(root: &Path) -> Result<()> {
    let places = Places::below(root);
    crate::debian::ensure(crate::debian::EXAMPLE)?;
    crate::debian::kubectl()?;
    step("building the release binary");
    build(root)?;
    step("making the example's images from Debian packages");
    make_images(&places)?;
    step("starting the server");
    start(&places)?;
    step("waiting for the node");
    wait_for_node(&places)?;
    step("applying examples/");
    kubectl(
        &places,
        &["apply", "-f", &root.join("examples").display().to_string()],
    )?;
    kubectl(
        &places,
        &[
            "rollout",
            "status",
            "deployment/web",
            &format!("--timeout={PATIENCE}s"),
        ],
    )?;
    show(&places)
}

/// Ends the cluster and removes what it left.
pub fn down(root: &Path) -> Result<()> {
    let places = Places::below(root);
    stop(&places)?;
    let status = Command::new(&places.binary)
        .args(["reset", "--purge", "--data-dir"])
        .arg(&places.data)
        .status()
        .with_context(|| format!("run {}", places.binary.display()))?;
    match status.success() {
        true => Ok(()),
        false => bail!("tiphys reset failed"),
    }
}

fn step(what: &str) {
    eprintln!("==> {what}");
}

fn build(root: &Path) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["build", "--release", "--package", "tiphys"])
        .status()
        .context("run cargo build")?;
    match status.success() {
        true => Ok(()),
        false => bail!("the build failed"),
    }
}

fn make_images(places: &Places) -> Result<()> {
    let folder = places.data.join("images");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let path = folder.join("example.tar");
    let busybox =
        busybox_image(BUSYBOX, Path::new("/bin/busybox")).context("make the busybox image")?;
    let nginx = nginx_image(NGINX, &NginxFiles::default()).context("make the nginx image")?;
    let mut file = File::create(&path).with_context(|| format!("write {}", path.display()))?;
    write_oci(&[&busybox, &nginx], &mut file).with_context(|| format!("write {}", path.display()))
}

fn start(places: &Places) -> Result<()> {
    stop(places)?;
    let log =
        File::create(&places.log).with_context(|| format!("write {}", places.log.display()))?;
    let errors = log.try_clone().context("share the log")?;
    let server = Command::new(&places.binary)
        .arg("server")
        .arg("--data-dir")
        .arg(&places.data)
        .arg("--write-kubeconfig")
        .arg(&places.kubeconfig)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("start {}", places.binary.display()))?;
    std::fs::write(&places.pid, server.id().to_string()).context("record the server's pid")?;
    wait_until_ready(places, server)
}

fn wait_until_ready(places: &Places, mut server: std::process::Child) -> Result<()> {
    for _ in 0..PATIENCE * 10 {
        if let Some(status) = server.try_wait().context("look at the server")? {
            let log = std::fs::read_to_string(&places.log).unwrap_or_default();
            bail!("the server ended ({status}):\n{log}");
        }
        if places.kubeconfig.exists() && quiet(places, &["get", "--raw", "/readyz"]) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!(
        "the server did not become ready; see {}",
        places.log.display()
    )
}

/// A node comes a moment after its server.
fn wait_for_node(places: &Places) -> Result<()> {
    for _ in 0..PATIENCE * 10 {
        if !output(places, &["get", "nodes", "-o", "name"])?.is_empty() {
            let timeout = format!("--timeout={PATIENCE}s");
            let node = ["wait", "--for=condition=Ready", "node", "--all", &timeout];
            return kubectl(places, &node);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("no node came; see {}", places.log.display())
}

/// Ends a server that an earlier run left.
fn stop(places: &Places) -> Result<()> {
    let Ok(pid) = std::fs::read_to_string(&places.pid) else {
        return Ok(());
    };
    let pid = pid.trim();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let is_ours =
        exe.to_string_lossy().trim_end_matches(" (deleted)") == places.binary.to_string_lossy();
    if is_ours {
        Command::new("kill").arg(pid).status().context("run kill")?;
        for _ in 0..300 {
            if !Path::new(&format!("/proc/{pid}")).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    std::fs::remove_file(&places.pid).context("forget the server's pid")
}

fn command(places: &Places, args: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.env("KUBECONFIG", &places.kubeconfig).args(args);
    command
}

fn quiet(places: &Places, args: &[&str]) -> bool {
    command(places, args)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn kubectl(places: &Places, args: &[&str]) -> Result<()> {
    match command(places, args)
        .status()
        .context("run kubectl")?
        .success()
    {
        true => Ok(()),
        false => bail!("kubectl {} failed", args.join(" ")),
    }
}

fn output(places: &Places, args: &[&str]) -> Result<String> {
    let output = command(places, args).output().context("run kubectl")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// What a person would look at.
fn show(places: &Places) -> Result<()> {
    println!();
    kubectl(places, &["get", "nodes", "-o", "wide"])?;
    println!();
    kubectl(places, &["get", "pods,services", "-o", "wide"])?;
    let address = output(
        places,
        &["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"],
    )?;
    println!("\n$ curl http://{address}/");
    let answer = fetch(&address).with_context(|| format!("ask the Service at {address}"))?;
    println!("{}", answer.trim_end());
    println!(
        "\nThe cluster stays. Use it:  export KUBECONFIG={}",
        places.kubeconfig.display()
    );
    println!("End it:                     cargo xtask down");
    Ok(())
}

/// A GET without a client program.
fn fetch(address: &str) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect((address, 80)).context("connect")?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .context("set a deadline")?;
    write!(stream, "GET / HTTP/1.0\r\nHost: web\r\n\r\n").context("ask")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .context("read the answer")?;
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) => Ok(body.to_string()),
        None => bail!("the answer is not HTTP: {answer:?}"),
    }
}
