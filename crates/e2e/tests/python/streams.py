"""The official client's streams: exec with input, attach, and a forwarded port."""

import sys
import time

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
forward()
print("all is well")
