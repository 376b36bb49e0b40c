//! `tiphys token`: the tokens by which nodes, and whoever else is about to join,
//! come in. Each is a Secret in kube-system, as kubeadm and k3s keep theirs.

use crate::cli::{TokenCommand, TokenCreate, TokenFormat};
use anyhow::{Context as _, Result, anyhow, bail};
use auth::bootstrap_token::{self, NAMESPACE, SECRET_PREFIX, SECRET_TYPE};
use client::http::{HttpTransport, Kubeconfig};
use client::{Api, Client, DeleteOptions, ListOptions};
use meta::{Value, value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use stdx::{Clock, SignedDuration, Timestamp};
use typed::Typed;
use typed::api::core::v1::Secret;
use typed::k8s_openapi::ByteString;
use typed::meta::ObjectMeta;

const USAGES: [&str; 2] = ["authentication", "signing"];
const USAGE_PREFIX: &str = "usage-bootstrap-";
const NONE: &str = "<none>";

/// Does what is asked.
pub fn run(kubeconfig: &Path, command: TokenCommand) -> Result<()> {
    if let TokenCommand::Generate = command {
        println!("{}", new_token()?);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let secrets = secrets(kubeconfig)?;
    runtime.block_on(async {
        match command {
            TokenCommand::Create(options) => create(&secrets, options).await,
            TokenCommand::Ls { output } => list(&secrets, output).await,
            TokenCommand::Rm { tokens } => remove(&secrets, &tokens).await,
            TokenCommand::Generate => Ok(()),
        }
    })
}

fn secrets(kubeconfig: &Path) -> Result<Api<Secret>> {
    let config = Kubeconfig::read(kubeconfig)
        .with_context(|| {
            let path = kubeconfig.display();
            format!("find the server by {path}\nhint: name another file with --kubeconfig")
        })?
        .http_config(None)?;
    let transport = HttpTransport::new(&config, Clock::system())?;
    let client = Client::new(Arc::new(transport)).with_user_agent("tiphys");
    Ok(client.api().namespace(NAMESPACE))
}

fn new_token() -> Result<String> {
    bootstrap_token::generate().ok_or_else(|| anyhow!("the machine gives no random bytes"))
}

async fn create(secrets: &Api<Secret>, options: TokenCreate) -> Result<()> {
    let token = match &options.token {
        Some(token) => token.clone(),
        None => new_token()?,
    };
    let secret = secret(&token, &options, Clock::system().wall())?;
    match secrets.create(&secret).await {
        Err(error) if error.is_already_exists() => {
            let (id, _) = token.split_once('.').unwrap_or_default();
            bail!("a token with id {id:?} already exists")
        }
        created => created.context("create the bootstrap token")?,
    };
    println!("{token}");
    Ok(())
}

/// The Secret that keeps a token.
fn secret(token: &str, options: &TokenCreate, now: Timestamp) -> Result<Secret> {
    let Some((id, secret)) = bootstrap_token::parse(token) else {
        bail!("the bootstrap token {token:?} was not of the form \"[a-z0-9]{{6}}.[a-z0-9]{{16}}\"");
    };
    let mut data = BTreeMap::from([
        ("token-id", id.to_owned()),
        ("token-secret", secret.to_owned()),
    ]);
    if let Some(description) = &options.description {
        data.insert("description", description.clone());
    }
    if !options.ttl.is_zero() {
        let ends = now.checked_add(options.ttl).context("--ttl is too long")?;
        data.insert("expiration", stdx::format_seconds(ends));
    }
    if let Some(odd) = options
        .groups
        .iter()
        .find(|group| !bootstrap_token::is_group(group))
    {
        bail!(
            "--groups: {odd:?} is not of the form system:bootstrappers:[a-z0-9:-]{{0,255}}[a-z0-9]"
        );
    }
    if !options.groups.is_empty() {
        data.insert("auth-extra-groups", options.groups.join(","));
    }
    let mut data: BTreeMap<String, String> = data
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text))
        .collect();
    for usage in &options.usages {
        if !USAGES.contains(&usage.as_str()) {
            bail!(
                "--usages: {usage:?} is not a usage of bootstrap tokens; these are {}",
                USAGES.join(", ")
            );
        }
        data.insert(format!("{USAGE_PREFIX}{usage}"), "true".to_owned());
    }
    let data = data
        .into_iter()
        .map(|(key, text)| (key, ByteString(text.into_bytes())));
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(format!("{SECRET_PREFIX}{id}")),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    })
}

/// A token as it is shown.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    token: String,
    description: String,
    /// When it ends; as it is written, where that is no time.
    expires: Option<Result<Timestamp, String>>,
    usages: Vec<&'static str>,
    groups: Vec<String>,
}

impl Shown {
    fn of(secret: &Secret) -> Self {
        let entry = |key: &str| {
            let bytes = secret.data.as_ref().and_then(|data| data.get(key));
            bytes.map_or(String::new(), |bytes| {
                String::from_utf8_lossy(&bytes.0).into_owned()
            })
        };
        let is_used = |usage: &&str| entry(&format!("{USAGE_PREFIX}{usage}")) == "true";
        let expiration = Some(entry("expiration")).filter(|text| !text.is_empty());
        let groups = entry("auth-extra-groups");
        let groups = groups.split(',').filter(|group| !group.is_empty());
        Shown {
            token: format!("{}.{}", entry("token-id"), entry("token-secret")),
            description: entry("description"),
            expires: expiration.map(|text| text.parse().map_err(|_| text)),
            usages: USAGES.into_iter().filter(is_used).collect(),
            groups: groups.map(str::to_owned).collect(),
        }
    }

    fn row(&self, now: Timestamp) -> [String; 6] {
        let (ttl, expires) = match &self.expires {
            None => ("<forever>".to_owned(), "<never>".to_owned()),
            Some(Err(text)) => ("<invalid>".to_owned(), text.clone()),
            Some(Ok(at)) if *at <= now => ("<expired>".to_owned(), stdx::format_seconds(*at)),
            Some(Ok(at)) => {
                let left = at.duration_since(now).as_secs();
                (short(left), stdx::format_seconds(*at))
            }
        };
        let or_none = |text: String| {
            if text.is_empty() {
                NONE.to_owned()
            } else {
                text
            }
        };
        [
            self.token.clone(),
            ttl,
            expires,
            or_none(self.usages.join(",")),
            or_none(self.description.clone()),
            or_none(self.groups.join(",")),
        ]
    }

    fn object(&self) -> Value {
        let texts =
            |texts: &mut dyn Iterator<Item = &str>| Value::Array(texts.map(Value::from).collect());
        let mut object = value!({"token": self.token.as_str()});
        if !self.description.is_empty() {
            object.set_at(&["description"], self.description.as_str());
        }
        if let Some(Ok(at)) = &self.expires {
            object.set_at(&["expires"], stdx::format_seconds(*at));
        }
        object.set_at(&["usages"], texts(&mut self.usages.iter().copied()));
        object.set_at(
            &["groups"],
            texts(&mut self.groups.iter().map(String::as_str)),
        );
        object
    }
}

/// Seconds in the largest unit that fits. Follows apimachinery's
/// duration.ShortHumanDuration.
fn short(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        86_400..31_536_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

async fn list(secrets: &Api<Secret>, output: TokenFormat) -> Result<()> {
    let options = ListOptions::fields(format!("type={SECRET_TYPE}"));
    let found = secrets
        .list(&options)
        .await
        .context("list bootstrap tokens")?;
    let is_named = |secret: &&Secret| secret.name().starts_with(SECRET_PREFIX);
    let shown: Vec<Shown> = found.items.iter().filter(is_named).map(Shown::of).collect();
    match output {
        TokenFormat::Json => {
            let objects = Value::Array(shown.iter().map(Shown::object).collect());
            println!("{}", objects.to_json());
        }
        TokenFormat::Text => {
            let now = Clock::system().wall();
            let head = [
                "TOKEN",
                "TTL",
                "EXPIRES",
                "USAGES",
                "DESCRIPTION",
                "EXTRA GROUPS",
            ];
            let mut rows = vec![head.map(String::from)];
            rows.extend(shown.iter().map(|token| token.row(now)));
            super::print_table(&rows);
        }
    }
    Ok(())
}

/// Tokens go by their id, or as a whole.
async fn remove(secrets: &Api<Secret>, tokens: &[String]) -> Result<()> {
    for token in tokens {
        let (id, rest) = token.split_once('.').unwrap_or((token, "0000000000000000"));
        if bootstrap_token::parse(&format!("{id}.{rest}")).is_none() {
            bail!("{token:?} is neither a bootstrap token nor the id of one");
        }
        let name = format!("{SECRET_PREFIX}{id}");
        let deleted = secrets.delete(&name, &DeleteOptions::default()).await;
        deleted.with_context(|| format!("delete the bootstrap token {id:?}"))?;
        println!("bootstrap token {id:?} deleted");
    }
    Ok(())
}

/// Reads a lifetime as Go writes durations; 0 is for ever.
pub fn ttl(text: &str) -> Result<SignedDuration, String> {
    if text == "0" {
        return Ok(SignedDuration::ZERO);
    }
    let ttl: SignedDuration = text
        .parse()
        .map_err(|_| "it is no duration such as 24h0m0s".to_owned())?;
    match ttl.is_negative() {
        true => Err("a token cannot have ended before it begins".into()),
        false => Ok(ttl),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> TokenCreate {
        TokenCreate {
            token: None,
            ttl: ttl("24h0m0s").unwrap(),
            description: Some("for a".into()),
            groups: vec!["system:bootstrappers:tiphys:default-node-token".into()],
            usages: vec!["signing".into(), "authentication".into()],
        }
    }

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_is_made_is_shown() {
        let token = "abcdef.0123456789abcdef";
        let secret = secret(token, &options(), now()).unwrap();
        assert_eq!(secret.name(), "bootstrap-token-abcdef");
        let shown = Shown::of(&secret);
        let row = shown.row(now()).join("|");
        let expected = "abcdef.0123456789abcdef|1d|2026-12-01T12:00:00Z|authentication,signing|for a|system:bootstrappers:tiphys:default-node-token";
        assert_eq!(row, expected);
        let later: Timestamp = "2026-12-01T11:00:01Z".parse().unwrap();
        assert_eq!(shown.row(later)[1], "59m");
        let late: Timestamp = "2026-12-02T00:00:00Z".parse().unwrap();
        assert_eq!(shown.row(late)[1], "<expired>");
        let json = r#"{"description":"for a","expires":"2026-12-01T12:00:00Z","groups":["system:bootstrappers:tiphys:default-node-token"],"token":"abcdef.0123456789abcdef","usages":["authentication","signing"]}"#;
        assert_eq!(shown.object().to_json(), json);
    }

    #[test]
    fn a_token_without_end_says_so() {
        let mut options = options();
        options.ttl = ttl("0").unwrap();
        options.groups.clear();
        options.description = None;
        options.usages.clear();
        let secret = secret("abcdef.0123456789abcdef", &options, now()).unwrap();
        let row = Shown::of(&secret).row(now());
        assert_eq!(row[1..].join("|"), "<forever>|<never>|<none>|<none>|<none>");
    }

    #[test]
    fn what_is_odd_is_refused() {
        let refused = |change: &dyn Fn(&mut TokenCreate), token: &str| {
            let mut options = options();
            change(&mut options);
            secret(token, &options, now()).unwrap_err().to_string()
        };
        let good = "abcdef.0123456789abcdef";
        let short = refused(&|_| {}, "abcdef.0123");
        assert!(short.contains("was not of the form"), "{short}");
        let group = refused(&|o| o.groups = vec!["system:masters".into()], good);
        assert!(group.starts_with("--groups: \"system:masters\""), "{group}");
        let usage = refused(&|o| o.usages = vec!["all".into()], good);
        assert!(usage.starts_with("--usages: \"all\""), "{usage}");
        assert!(ttl("-1h").is_err() && ttl("soon").is_err());
    }
}
