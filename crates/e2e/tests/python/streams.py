"""The official client's streams: exec with input, attach, and a forwarded port;
with the library below it, logs and watches over WebSockets."""

import base64
import json
import ssl
import sys
import time

import websocket
from kubernetes import client, config
from kubernetes.stream import portforward, stream

namespace = sys.argv[1]
config.load_kube_config()
core = client.CoreV1Api()


def make_pod():
    main = client.V1Container(
        name="main",
        image="busybox:1.35",
        stdin=True,
        command=["sh", "-c", "while read line; do echo got $line; done"],
    )
    web = client.V1Container(name="web", image="nginx:1.22")
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="streams"),
        spec=client.V1PodSpec(containers=[main, web], termination_grace_period_seconds=1),
    )
    core.create_namespaced_pod(namespace, pod)
    for _ in range(300):
        status = core.read_namespaced_pod("streams", namespace).status
        if any(c.type == "Ready" and c.status == "True" for c in status.conditions or []):
            return
        time.sleep(0.1)
    raise AssertionError("the pod is not ready")


def execute():
    options = dict(container="web", stderr=True, stdin=True, stdout=True, tty=False)
    call = stream(
        core.connect_get_namespaced_pod_exec,
        "streams",
        namespace,
        command=["sh", "-c", "read word; echo hello $word; echo oops >&2; exit 4"],
        _preload_content=False,
        **options,
    )
    call.write_stdin("world\n")
    call.run_forever(timeout=20)
    assert call.read_stdout() == "hello world\n"
    assert call.read_stderr() == "oops\n"
    assert call.returncode == 4, call.returncode
    call.close()


def attach():
    call = stream(
        core.connect_get_namespaced_pod_attach,
        "streams",
        namespace,
        container="main",
        stderr=True,
        stdin=True,
        stdout=True,
        tty=False,
        _preload_content=False,
    )
    call.write_stdin("one\n")
    assert call.readline_stdout(timeout=20) == "got one"
    call.close()


def open_socket(path, protocols, **options):
    """A WebSocket as a browser would open it: the token hides among the protocols."""
    found = client.Configuration.get_default_copy()
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[])
    )
    token = core.create_namespaced_service_account_token("default", namespace, request)
    hidden = base64.urlsafe_b64encode(token.status.token.encode()).decode().rstrip("=")
    return websocket.create_connection(
        found.host.replace("https:", "wss:") + path,
        subprotocols=["base64url.bearer.authorization.k8s.io." + hidden, *protocols],
        sslopt={"ca_certs": found.ssl_ca_cert, "cert_reqs": ssl.CERT_REQUIRED},
        timeout=30,
        **options,
    )


def allow_looking():
    rbac = client.RbacAuthorizationV1Api()
    rule = client.V1PolicyRule(
        api_groups=[""],
        resources=["pods", "pods/log", "configmaps"],
        verbs=["get", "list", "watch"],
    )
    rbac.create_namespaced_role(
        namespace, client.V1Role(metadata=client.V1ObjectMeta(name="looker"), rules=[rule])
    )
    binding = client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name="looker"),
        role_ref=client.V1RoleRef(
            api_group="rbac.authorization.k8s.io", kind="Role", name="looker"
        ),
        subjects=[client.RbacV1Subject(kind="ServiceAccount", name="default", namespace=namespace)],
    )
    rbac.create_namespaced_role_binding(namespace, binding)


def log_over_socket():
    core.create_namespaced_pod(
        namespace,
        client.V1Pod(
            metadata=client.V1ObjectMeta(name="speaker"),
            spec=client.V1PodSpec(
                restart_policy="Never",
                containers=[
                    client.V1Container(
                        name="main",
                        image="busybox:1.35",
                        command=["sh", "-c", "echo container is alive; echo more"],
                    )
                ],
            ),
        ),
    )
    for _ in range(300):
        if core.read_namespaced_pod("speaker", namespace).status.phase == "Succeeded":
            break
        time.sleep(0.1)
    path = f"/api/v1/namespaces/{namespace}/pods/speaker/log?container=main&follow=true"
    for protocol, decode in [
        ("binary.k8s.io", bytes),
        ("base64.binary.k8s.io", base64.b64decode),
    ]:
        socket = open_socket(path, [protocol])
        assert socket.getsubprotocol() == protocol, socket.getsubprotocol()
        said = b""
        while piece := socket.recv():
            said += decode(piece)
        assert said == b"container is alive\nmore\n", said


def watch_over_socket():
    path = f"/api/v1/namespaces/{namespace}/configmaps?watch=true&fieldSelector=metadata.name%3Dtold"
    socket = open_socket(path, ["events"])
    core.create_namespaced_config_map(
        namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="told"))
    )
    core.delete_namespaced_config_map("told", namespace)
    for kind in ["ADDED", "DELETED"]:
        event = json.loads(socket.recv())
        assert (event["type"], event["object"]["metadata"]["name"]) == (kind, "told"), event
    socket.close()
    try:
        open_socket(f"/api/v1/namespaces/{namespace}/secrets?watch=true", ["events"])
        raise AssertionError("it may not look at secrets")
    except websocket.WebSocketBadStatusException as error:
        assert error.status_code == 403, error


def forward():
    ports = portforward(
        core.connect_get_namespaced_pod_portforward, "streams", namespace, ports="80"
    )
    socket = ports.socket(80)
    socket.setblocking(True)
    socket.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    said = b""
    while piece := socket.recv(4096):
        said += piece
    socket.close()
    assert b"200 OK" in said, said
    assert ports.error(80) is None, ports.error(80)


make_pod()
execute()
attach()
allow_looking()
log_over_socket()
watch_over_socket()
forward()
print("all is well")
