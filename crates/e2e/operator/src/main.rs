//! An operator on kube-rs: a Greeting has a ConfigMap that says it, and a
//! farewell. Its definition comes from the types below, as kube-derive and
//! schemars make it.

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Api, Client, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const MANAGER: &str = "greeter";
const FINALIZER: &str = "kube-rs.example.com/farewell";

/// What somebody wants said.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "kube-rs.example.com",
    version = "v1",
    kind = "Greeting",
    namespaced,
    status = "GreetingStatus",
    shortname = "gr",
    printcolumn = r#"{"name": "Said", "type": "string", "jsonPath": ".status.said"}"#
)]
#[serde(rename_all = "camelCase")]
struct GreetingSpec {
    /// Whom to greet.
    name: String,
    /// How.
    #[serde(default)]
    tone: Tone,
    /// How often, at most nine times.
    #[schemars(range(min = 1, max = 9))]
    times: Option<u8>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
enum Tone {
    #[default]
    Warm,
    Cool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct GreetingStatus {
    said: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("ask the API server")]
    Ask(#[from] kube::Error),
    #[error("keep the finalizer: {0}")]
    Finalizer(Box<kube::runtime::finalizer::Error<Error>>),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let namespace = std::env::args().nth(1).ok_or("which namespace?")?;
    let client = Client::try_default().await?;
    define(&client).await?;
    let greetings = Api::<Greeting>::namespaced(client.clone(), &namespace);
    greetings.list(&ListParams::default()).await?;
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    println!("watching");
    Controller::new(greetings, watcher::Config::default())
        .owns(maps, watcher::Config::default())
        .run(reconcile, on_error, Arc::new(client))
        .for_each(|outcome| async move {
            if let Err(error) = outcome {
                eprintln!("{error:?}");
            }
        })
        .await;
    Ok(())
}

async fn define(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let name = Greeting::crd_name();
    let apply = PatchParams::apply(MANAGER).force();
    definitions.patch(name, &apply, &Patch::Apply(Greeting::crd())).await?;
    let is_served = conditions::is_crd_established();
    await_condition(definitions, name, is_served).await?;
    Ok(())
}

async fn reconcile(greeting: Arc<Greeting>, client: Arc<Client>) -> Result<Action, Error> {
    let namespace = greeting.namespace().unwrap_or_default();
    let greetings = Api::<Greeting>::namespaced((*client).clone(), &namespace);
    finalizer(&greetings, FINALIZER, greeting, |event| async {
        match event {
            Event::Apply(greeting) => say(&client, &greeting).await,
            Event::Cleanup(greeting) => say_farewell(&client, &greeting).await,
        }
    })
    .await
    .map_err(|error| Error::Finalizer(Box::new(error)))
}

async fn say(client: &Client, greeting: &Greeting) -> Result<Action, Error> {
    let namespace = greeting.namespace().unwrap_or_default();
    let (name, spec) = (greeting.name_any(), &greeting.spec);
    let word = match spec.tone {
        Tone::Warm => "Hello",
        Tone::Cool => "Good day",
    };
    let text = vec![format!("{word}, {}!", spec.name); spec.times.unwrap_or(1).into()].join(" ");
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": [greeting.controller_owner_ref(&())], "labels": spec.labels},
        "data": {"text": text},
    });
    let apply = PatchParams::apply(MANAGER).force();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    maps.patch(&name, &apply, &Patch::Apply(map)).await?;
    let greetings = Api::<Greeting>::namespaced(client.clone(), &namespace);
    let status = json!({"status": {"said": text}});
    let merge = PatchParams::default();
    greetings.patch_status(&name, &merge, &Patch::Merge(status)).await?;
    Ok(Action::await_change())
}

async fn say_farewell(client: &Client, greeting: &Greeting) -> Result<Action, Error> {
    let namespace = greeting.namespace().unwrap_or_default();
    let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let mut farewell = ConfigMap::default();
    farewell.metadata.name = Some(format!("farewell-{}", greeting.name_any()));
    let text = format!("Bye, {}!", greeting.spec.name);
    farewell.data = Some([("text".to_owned(), text)].into());
    match maps.create(&PostParams::default(), &farewell).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        outcome => drop(outcome?),
    }
    Ok(Action::await_change())
}

fn on_error(_: Arc<Greeting>, error: &Error, _: Arc<Client>) -> Action {
    eprintln!("{error:?}");
    Action::requeue(Duration::from_secs(1))
}
