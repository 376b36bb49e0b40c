"""The official client's everyday calls, against one namespace."""

import sys
import threading

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

namespace = sys.argv[1]
config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()


def list_all_pods():
    pods = core.list_pod_for_all_namespaces(watch=False)
    assert pods.kind == "PodList", pods
    page = core.list_namespace(limit=1)
    assert len(page.items) == 1 and page.metadata._continue, page
    rest = core.list_namespace(limit=100, _continue=page.metadata._continue)
    assert page.items[0].metadata.name not in [n.metadata.name for n in rest.items]


def create_deployment():
    container = client.V1Container(
        name="main",
        image="nginx:1.22",
        ports=[client.V1ContainerPort(container_port=80)],
        resources=client.V1ResourceRequirements(limits={"memory": "64Mi"}),
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": "py"}),
        spec=client.V1PodSpec(containers=[container]),
    )
    spec = client.V1DeploymentSpec(
        replicas=2,
        template=template,
        selector={"matchLabels": {"app": "py"}},
    )
    body = client.V1Deployment(
        api_version="apps/v1",
        kind="Deployment",
        metadata=client.V1ObjectMeta(name="py"),
        spec=spec,
    )
    made = apps.create_namespaced_deployment(namespace, body)
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo, made.metadata
    try:
        apps.create_namespaced_deployment(namespace, body)
        raise AssertionError("made twice")
    except ApiException as error:
        assert error.status == 409 and error.reason == "Conflict", error


def watch_pods():
    ready = set()
    for event in watch.Watch().stream(
        core.list_namespaced_pod, namespace, label_selector="app=py", timeout_seconds=60
    ):
        pod = event["object"]
        conditions = pod.status.conditions or []
        if any(c.type == "Ready" and c.status == "True" for c in conditions):
            ready.add(pod.metadata.name)
        if len(ready) == 2:
            return ready
    raise AssertionError(f"only {ready} became ready")


def exec_and_log(pod):
    said = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        command=["sh", "-c", "echo out; echo err >&2; exit 3"],
        stderr=True,
        stdin=False,
        stdout=True,
        tty=False,
        _preload_content=False,
    )
    said.run_forever(timeout=30)
    assert said.read_stdout() == "out\n", "standard output"
    assert said.read_stderr() == "err\n", "standard error"
    assert said.returncode == 3, said.returncode
    shell = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        command=["sh"],
        stderr=True,
        stdin=True,
        stdout=True,
        tty=False,
        _preload_content=False,
    )
    shell.write_stdin("echo hello $((1 + 1))\n")
    assert shell.readline_stdout(timeout=10) == "hello 2"
    shell.write_stdin("exit\n")
    shell.run_forever(timeout=10)
    shell.close()
    assert "start worker process" in core.read_namespaced_pod_log(pod, namespace)


def change_and_scale():
    apps.patch_namespaced_deployment_scale("py", namespace, {"spec": {"replicas": 1}})
    scale = apps.read_namespaced_deployment_scale("py", namespace)
    assert scale.spec.replicas == 1, scale
    deployment = apps.read_namespaced_deployment("py", namespace)
    deployment.metadata.labels = {"colour": "blue"}
    deployment.metadata.resource_version = None
    apps.patch_namespaced_deployment("py", namespace, deployment)
    stale = apps.read_namespaced_deployment("py", namespace)
    stale.metadata.resource_version = "1"
    try:
        apps.replace_namespaced_deployment("py", namespace, stale)
        raise AssertionError("a stale object was written")
    except ApiException as error:
        assert error.status == 409, error
    patch = [{"op": "replace", "path": "/metadata/labels/colour", "value": "red"}]
    patched = apps.patch_namespaced_deployment("py", namespace, patch)
    assert patched.metadata.labels["colour"] == "red", patched.metadata


def config_maps():
    seen = []
    now = core.list_namespaced_config_map(namespace).metadata.resource_version

    def follow():
        for event in watch.Watch().stream(
            core.list_namespaced_config_map,
            namespace,
            resource_version=now,
            timeout_seconds=30,
        ):
            if event["object"].metadata.name != "py":
                continue
            seen.append(event["type"])
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py"), data={"a": "1"})
    core.create_namespaced_config_map(namespace, body)
    body.data = {"a": "2"}
    core.replace_namespaced_config_map("py", namespace, body)
    core.delete_namespaced_config_map("py", namespace)
    follower.join(timeout=35)
    assert seen == ["ADDED", "MODIFIED", "DELETED"], seen
    try:
        core.read_namespaced_config_map("py", namespace)
        raise AssertionError("it is still there")
    except ApiException as error:
        assert error.status == 404, error


def errors():
    try:
        core.create_namespaced_config_map(
            namespace, {"metadata": {"name": "Not A Name"}}
        )
        raise AssertionError("a wrong name was taken")
    except ApiException as error:
        assert error.status == 422 and "metadata.name" in error.body, error


def end():
    apps.delete_namespaced_deployment(
        "py", namespace, propagation_policy="Foreground", grace_period_seconds=0
    )
    for event in watch.Watch().stream(
        core.list_namespaced_pod, namespace, label_selector="app=py", timeout_seconds=60
    ):
        if not core.list_namespaced_pod(namespace, label_selector="app=py").items:
            return
    assert not core.list_namespaced_pod(namespace, label_selector="app=py").items


assert client.VersionApi().get_code().major == "1"
list_all_pods()
create_deployment()
pods = watch_pods()
exec_and_log(sorted(pods)[0])
change_and_scale()
config_maps()
errors()
end()
print("all is well")
