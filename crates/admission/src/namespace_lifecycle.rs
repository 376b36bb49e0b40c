//! Objects are made in namespaces that exist and will go on to. Follows
//! apiserver's pkg/admission/plugin/namespace/lifecycle/admission.go.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::{GroupResource, Status, Value};

/// Namespaces without which there is no cluster.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(crate) struct NamespaceLifecycle;

#[async_trait]
impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        _object: &mut Value,
        _old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        let of_namespaces = request.group.is_empty() && request.resource == "namespaces";
        match request.operation {
            Operation::Delete if of_namespaces && IMMORTAL.contains(&request.name) => {
                Err(request.forbidden("this namespace may not be deleted"))
            }
            // What exists has a namespace.
            Operation::Create if !of_namespaces && !request.namespace.is_empty() => {
                check_namespace(request, view).await
            }
            _ => Ok(()),
        }
    }
}

async fn check_namespace(request: &Request<'_>, view: &dyn View) -> Result<(), Status> {
    let name = request.namespace;
    let Some(namespace) = view.get("", "namespaces", "", name).await? else {
        return Err(Status::not_found(
            &GroupResource::new("", "namespaces"),
            name,
        ));
    };
    if namespace.str_at(&["status", "phase"]) != "Terminating" {
        return Ok(());
    }
    let why =
        format!("unable to create new content in namespace {name} because it is being terminated");
    let cause = format!("namespace {name} is being terminated");
    let status = request.forbidden(why);
    Err(status.cause("NamespaceTerminating", cause, "metadata.namespace"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create, delete};
    use meta::value;

    #[tokio::test]
    async fn content_needs_a_living_namespace() {
        let objects = Objects::default()
            .with(
                "namespaces",
                value!({"metadata": {"name": "ns"}, "status": {"phase": "Active"}}),
            )
            .with(
                "namespaces",
                value!({"metadata": {"name": "old"}, "status": {"phase": "Terminating"}}),
            );
        let pod = |namespace: &str| create("pods", namespace, value!({"metadata": {"name": "p"}}));
        pod("ns")
            .mutate(&NamespaceLifecycle, &objects)
            .await
            .unwrap();
        let absent = pod("gone")
            .mutate(&NamespaceLifecycle, &objects)
            .await
            .unwrap_err();
        assert_eq!(
            (absent.code, absent.message.as_str()),
            (404, "namespaces \"gone\" not found")
        );
        let going = pod("old")
            .mutate(&NamespaceLifecycle, &objects)
            .await
            .unwrap_err();
        assert_eq!(
            going.message,
            "pods \"p\" is forbidden: unable to create new content in namespace old because it is being terminated"
        );
        assert_eq!(going.details.causes[0].reason, "NamespaceTerminating");
        assert_eq!(
            going.details.causes[0].message,
            "namespace old is being terminated"
        );
        assert_eq!(going.details.causes[0].field, "metadata.namespace");
    }

    #[tokio::test]
    async fn some_namespaces_never_die() {
        let objects = Objects::default();
        for name in IMMORTAL {
            let error = delete("namespaces", "", name)
                .mutate(&NamespaceLifecycle, &objects)
                .await
                .unwrap_err();
            let wanted =
                format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
            assert_eq!((error.code, error.message), (403, wanted));
        }
        delete("namespaces", "", "mine")
            .mutate(&NamespaceLifecycle, &objects)
            .await
            .unwrap();
        delete("pods", "gone", "p")
            .mutate(&NamespaceLifecycle, &objects)
            .await
            .unwrap();
        let namespace = create("namespaces", "", value!({"metadata": {"name": "new"}}));
        namespace
            .mutate(&NamespaceLifecycle, &objects)
            .await
            .unwrap();
    }
}
