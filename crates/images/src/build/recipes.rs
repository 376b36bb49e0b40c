//! Images made from the programs of Debian packages.

use std::path::{Path, PathBuf};

use super::{
    Error, Layer, Recipe,
    layer::{output, read},
};

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nginx:x:101:101:nginx:/nonexistent:/bin/false
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
";

const GROUP: &str = "\
root:x:0:
daemon:x:1:
www-data:x:33:
nginx:x:101:
nogroup:x:65534:
";

const NGINX_CONF: &str = "\
user nginx;
worker_processes 1;
error_log /dev/stderr notice;
pid /run/nginx.pid;

events {
    worker_connections 1024;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /dev/stdout;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
";

const NGINX_SITE: &str = "\
server {
    listen 80;
    server_name localhost;

    location / {
        root /usr/share/nginx/html;
        index index.html;
    }

    location = /healthz {
        access_log off;
        default_type text/plain;
        return 200 \"ok\\n\";
    }

    location = /hostname {
        default_type text/plain;
        return 200 \"$hostname\\n\";
    }
}
";

const NGINX_PAGE: &str = "\
<!DOCTYPE html>
<html>
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>The web server is running in a container.</p>
</body>
</html>
";

/// An image with a static busybox (Debian: busybox-static) and all its
/// applets in /bin. It starts a shell.
pub fn busybox_image(name: &str, busybox: &Path) -> Result<Recipe, Error> {
    Ok(Recipe::new(name)?
        .layer(busybox_layer(busybox)?)
        .cmd(&["sh"]))
}

/// The files of which [`nginx_image`] is made.
#[derive(Clone, Debug)]
pub struct NginxFiles {
    /// The server (Debian: nginx-light, /usr/sbin/nginx).
    pub nginx: PathBuf,
    /// Its table of media types.
    pub mime_types: PathBuf,
    /// A static busybox for a shell beside it. The layer is that of
    /// [`busybox_image`], so that the two share it.
    pub busybox: PathBuf,
}

impl Default for NginxFiles {
    fn default() -> Self {
        Self {
            nginx: "/usr/sbin/nginx".into(),
            mime_types: "/etc/nginx/mime.types".into(),
            busybox: "/bin/busybox".into(),
        }
    }
}

/// An image whose containers run nginx in the foreground: it logs to the
/// standard streams, serves a page at /, `ok` at /healthz and the name of the
/// pod at /hostname, and reads /etc/nginx/conf.d.
pub fn nginx_image(name: &str, files: &NginxFiles) -> Result<Recipe, Error> {
    let layer = Layer::new()
        .program(&files.nginx)?
        .file("etc/nginx/mime.types", 0o644, read(&files.mime_types)?)
        .file("etc/nginx/nginx.conf", 0o644, NGINX_CONF)
        .file("etc/nginx/conf.d/default.conf", 0o644, NGINX_SITE)
        .file("usr/share/nginx/html/index.html", 0o644, NGINX_PAGE)
        .directory("run", 0o755)
        .directory("var/lib/nginx", 0o755)
        .directory("var/log/nginx", 0o755);
    let program = format!("/{}", files.nginx.to_string_lossy().trim_matches('/'));
    Ok(Recipe::new(name)?
        .layer(busybox_layer(&files.busybox)?)
        .layer(layer)
        .entrypoint(&[&program, "-g", "daemon off;"])
        .expose(&["80/tcp"])
        .stop_signal("SIGQUIT"))
}

fn busybox_layer(busybox: &Path) -> Result<Layer, Error> {
    let mut layer = Layer::new()
        .file("bin/busybox", 0o755, read(busybox)?)
        .file("etc/passwd", 0o644, PASSWD)
        .file("etc/group", 0o644, GROUP)
        .directory("dev", 0o755)
        .directory("home", 0o755)
        .directory("proc", 0o555)
        .directory("root", 0o700)
        .directory("sys", 0o555)
        .directory("tmp", 0o1777)
        .directory("var/tmp", 0o1777)
        .symlink("usr/bin/env", "../../bin/busybox");
    let (applets, success) = output(busybox, "--list")?;
    if !success {
        return Err(Error::Failed {
            command: format!("{} --list", busybox.display()),
            output: applets,
        });
    }
    for applet in applets.lines().map(str::trim) {
        if !applet.is_empty() && applet != "busybox" && !applet.contains('/') {
            layer = layer.symlink(&format!("bin/{applet}"), "busybox");
        }
    }
    Ok(layer)
}
