"""An operator on kopf: a Greeting has a ConfigMap that says it, and a farewell.

It is run by `kopf run`; crates/e2e/tests/custom.rs looks at what it does.
"""

import kopf
from kubernetes import client, config

GROUP = "kopf.example.com"


@kopf.on.startup()
def prepare(settings, **_):
    config.load_kube_config()
    settings.posting.level = 20
    settings.persistence.finalizer = f"{GROUP}/farewell"


def said(spec):
    return {"text": f"{spec['greeting']}, {spec['name']}!"}


@kopf.on.create(GROUP, "v1", "greetings")
def create(spec, name, namespace, body, **_):
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "data": said(spec)}
    kopf.adopt(config_map)
    made = client.CoreV1Api().create_namespaced_config_map(namespace, config_map)
    kopf.info(body, reason="Greeted", message=f"as {made.metadata.name}")
    return {"configMap": made.metadata.name}


@kopf.on.update(GROUP, "v1", "greetings", field="spec")
def update(spec, status, namespace, patch, **_):
    name = status["create"]["configMap"]
    client.CoreV1Api().patch_namespaced_config_map(name, namespace, {"data": said(spec)})
    patch.status["phase"] = "Changed"


@kopf.on.delete(GROUP, "v1", "greetings")
def delete(spec, name, namespace, **_):
    farewell = {"metadata": {"name": f"farewell-{name}"}, "data": {"text": f"Bye, {spec['name']}!"}}
    client.CoreV1Api().create_namespaced_config_map(namespace, farewell)


@kopf.on.event("", "v1", "configmaps", labels={"greets": kopf.PRESENT})
def seen(body, namespace, **_):
    # Another kind's objects are watched beside our own.
    name = body["metadata"]["labels"]["greets"]
    api = client.CustomObjectsApi()
    patch = {"status": {"seen": body["metadata"]["name"]}}
    api.patch_namespaced_custom_object_status(GROUP, "v1", namespace, "greetings", name, patch)
