"""What a user of the official Python client does, against the cluster of KUBECONFIG."""

import threading
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException


def load():
    configuration = client.Configuration()
    config.load_kube_config(client_configuration=configuration)
    configuration.verify_ssl = False
    return client.ApiClient(configuration)


def deployment(name):
    container = client.V1Container(
        name="c", image="nginx:1", ports=[client.V1ContainerPort(container_port=80)]
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": name}),
        spec=client.V1PodSpec(containers=[container]),
    )
    spec = client.V1DeploymentSpec(
        replicas=2,
        selector=client.V1LabelSelector(match_labels={"app": name}),
        template=template,
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec)


def refused(code, reason, call, *args, **more):
    try:
        call(*args, **more)
    except ApiException as error:
        assert error.status == code, error
        assert error.reason, error
        assert f'"reason":"{reason}"' in error.body, error.body
        return error
    raise AssertionError(f"{call} was not refused")


def objects(api):
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="py")))
    assert "py" in [n.metadata.name for n in core.list_namespace().items]
    made = core.create_namespaced_config_map(
        "py", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "v"})
    )
    assert made.metadata.uid and made.metadata.creation_timestamp.year >= 2024
    refused(409, "AlreadyExists", core.create_namespaced_config_map, "py", made_again("a"))
    refused(404, "NotFound", core.read_namespaced_config_map, "nothing", "py")
    made.data["k"] = "w"
    assert core.replace_namespaced_config_map("a", "py", made).data == {"k": "w"}
    refused(409, "Conflict", core.replace_namespaced_config_map, "a", "py", made)
    patched = core.patch_namespaced_config_map("a", "py", {"data": {"l": "x"}})
    assert patched.data == {"k": "w", "l": "x"}

    apps.create_namespaced_deployment("py", deployment("web"))
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    patched = apps.patch_namespaced_deployment("web", "py", body)
    assert patched.spec.template.spec.containers[0].image == "nginx:2"
    assert patched.spec.template.spec.containers[0].ports[0].container_port == 80
    scale = apps.read_namespaced_deployment_scale("web", "py")
    assert scale.spec.replicas == 2 and scale.status.selector == "app=web"
    scale.spec.replicas = 4
    assert apps.replace_namespaced_deployment_scale("web", "py", scale).spec.replicas == 4
    status = apps.patch_namespaced_deployment_status("web", "py", {"status": {"replicas": 4}})
    assert status.status.replicas == 4
    deleted = apps.delete_namespaced_deployment("web", "py", propagation_policy="Background")
    # Depending on its version the client gives a model or what was sent.
    outcome = deleted["status"] if isinstance(deleted, dict) else deleted.status
    assert outcome == "Success"


def made_again(name):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name))


def pages(api):
    core = client.CoreV1Api(api)
    for i in range(7):
        secret = client.V1Secret(
            metadata=client.V1ObjectMeta(name=f"s{i}", labels={"n": str(i % 2)}),
            string_data={"k": str(i)},
        )
        core.create_namespaced_secret("py", secret)
    found, more = [], None
    while True:
        page = core.list_namespaced_secret("py", limit=3, _continue=more)
        found += [s.metadata.name for s in page.items]
        more = page.metadata._continue
        if not more:
            break
    assert found == [f"s{i}" for i in range(7)], found
    odd = core.list_secret_for_all_namespaces(label_selector="n=1")
    assert [s.metadata.name for s in odd.items] == ["s1", "s3", "s5"]
    one = core.list_namespaced_secret("py", field_selector="metadata.name=s3")
    assert one.items[0].data == {"k": "Mw=="}
    core.delete_collection_namespaced_secret("py", label_selector="n=1")
    assert len(core.list_namespaced_secret("py").items) == 4


def watches(api):
    core = client.CoreV1Api(api)
    told = []

    def follow():
        stream = watch.Watch().stream(
            core.list_namespaced_config_map, "py", timeout_seconds=20, resource_version="0"
        )
        for event in stream:
            told.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    while not told:
        time.sleep(0.01)
    core.create_namespaced_config_map("py", made_again("w"))
    core.patch_namespaced_config_map("w", "py", {"data": {"a": "b"}})
    core.delete_namespaced_config_map("w", "py")
    follower.join(timeout=20)
    assert not follower.is_alive()
    assert told[-3:] == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")], told


def all_pods(api):
    core = client.CoreV1Api(api)
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="p"),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i")]),
    )
    core.create_namespaced_pod("py", pod)
    pods = core.list_pod_for_all_namespaces(watch=False)
    assert [(p.metadata.namespace, p.metadata.name) for p in pods.items] == [("py", "p")]
    assert pods.items[0].status.phase == "Pending"
    gone = core.delete_namespaced_pod("p", "py", grace_period_seconds=0)
    name = gone["metadata"]["name"] if isinstance(gone, dict) else gone.metadata.name
    assert name == "p"


def dynamically(api):
    dynamic_client = dynamic.DynamicClient(api)
    maps = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    config_map = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "d"}, "data": {"a": "1"}}
    applied = maps.server_side_apply(
        body=config_map, namespace="py", field_manager="py-test", force_conflicts=True
    )
    assert applied.metadata.managedFields[0].manager == "py-test"
    assert maps.get(name="d", namespace="py").data.a == "1"
    maps.delete(name="d", namespace="py")
    utils.create_from_dict(api, dict(config_map, metadata={"name": "e", "namespace": "py"}))
    groups = [g.name for g in client.ApisApi(api).get_api_versions().groups]
    assert "apps" in groups
    assert client.VersionApi(api).get_code().major == "1"
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods")
        )
    )
    answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
    assert answer.status.allowed


def main():
    api = load()
    for part in [objects, pages, watches, all_pods, dynamically]:
        part(api)
        print(part.__name__, "ok", flush=True)


main()
