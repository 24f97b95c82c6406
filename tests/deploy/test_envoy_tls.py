"""The door that ends TLS by itself, with the component `edge-tls`: the only way in for native gRPC from outside."""

import socket
import ssl
import tempfile
from pathlib import Path

import grpc
import pytest
import trustme

from tests.deploy.envoy import before_a_gateway, code_of
from tests.deploy.rendered import K8S, of_kind, pods, with_component
from tests.deploy.test_envoy_configuration import rendered_in_the_pod, validate
from tests.deploy.waiting import wait_until

COMPONENT = K8S / "components" / "edge-tls"
MOUNT = "/certificate"


def put(folder, authority):
    """What a pod has at MOUNT: the Secret's two files, and the component's own which names them.

    As the kubelet puts them (its AtomicWriter): links to a link, which alone is replaced.
    """
    ours = authority.issue_cert("127.0.0.1")
    contents = {
        "tls.key": ours.private_key_pem.bytes(),
        "tls.crt": b"".join(pem.bytes() for pem in ours.cert_chain_pems),
        "certificate.yaml": (COMPONENT / "certificate.yaml").read_text().replace(MOUNT, str(folder)).encode(),
    }
    folder.mkdir(exist_ok=True)
    version = Path(tempfile.mkdtemp(dir=folder, prefix=".."))
    for name, content in contents.items():
        (version / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(Path("..data", name))
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")
    return str(folder / "certificate.yaml")


def who_believes(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def client(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("envoy")
    certificate = put(folder / "certificate", authority)
    with before_a_gateway(folder, verify=who_believes(authority), certificate=certificate) as client:
        yield client


def test_services_learn_that_the_client_came_by_https(client):
    headers = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http"}
    told = client.get("/api/v1/x", headers=headers).json()
    assert (told["forwarded"], told["scheme"]) == (["127.0.0.1"], "https")


def test_native_grpc_passes(client, authority):
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with grpc.secure_channel(client.base_url.netloc.decode(), credentials) as channel:
        # Refused by the door itself, which has nobody behind it.
        assert code_of(channel, "/grpc.health.v1.Health/Check") == grpc.StatusCode.UNIMPLEMENTED


def test_nothing_passes_in_the_clear(client):
    with grpc.insecure_channel(client.base_url.netloc.decode()) as channel:
        assert code_of(channel, "/grpc.health.v1.Health/Check") == grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path, authority):
    certificate = put(tmp_path / "certificate", authority)
    with before_a_gateway(tmp_path, verify=who_believes(authority), certificate=certificate) as client:
        another = trustme.CA()
        address = (client.base_url.host, client.base_url.port)
        assert believes(authority, address)
        assert not believes(another, address)
        put(tmp_path / "certificate", another)
        wait_until(lambda: believes(another, address))


def believes(authority, address):
    """Whether who believes this authority would speak to the door now."""
    try:
        with (
            socket.create_connection(address, timeout=5) as connection,
            who_believes(authority).wrap_socket(connection, server_hostname=address[0]),
        ):
            return True
    except ssl.SSLError:
        return False


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Of an overlay with the component."""
    return with_component("local", "edge-tls", tmp_path_factory.mktemp("overlay"))


def named(objects, kind, name="envoy"):
    (found,) = (one for one in objects if one["kind"] == kind and one["metadata"]["name"].startswith(name))
    return found


def test_envoy_accepts_the_component_s_configuration(tmp_path, objects, authority):
    arguments = named(objects, "Deployment")["spec"]["template"]["spec"]["initContainers"][0]["args"]
    (certificate,) = set(arguments) - set(pods("local")["envoy"]["spec"]["initContainers"][0]["args"])
    assert certificate == f"--certificate={MOUNT}/certificate.yaml"
    validate(rendered_in_the_pod(tmp_path, f"--certificate={put(tmp_path / 'certificate', authority)}"))


def test_the_pod_has_the_files_that_envoy_is_told_of(objects):
    spec = named(objects, "Deployment")["spec"]["template"]["spec"]
    (envoy,) = spec["containers"]
    (mount,) = (each for each in envoy["volumeMounts"] if each["mountPath"] == MOUNT)
    (volume,) = (each for each in spec["volumes"] if each["name"] == mount["name"])
    secret, config = volume["projected"]["sources"]
    assert secret == {"secret": {"name": "edge-tls"}}  # `tls.crt` and `tls.key`: of the type kubernetes.io/tls
    found = named(objects, "ConfigMap", config["configMap"]["name"])
    assert found["data"] == {"certificate.yaml": (COMPONENT / "certificate.yaml").read_text()}


def test_callers_come_in_by_a_load_balancer_that_keeps_their_addresses(objects):
    spec = named(objects, "Service")["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert spec["ports"] == [{"name": "https", "port": 443, "targetPort": "http"}]
    assert of_kind("local", "Service")["envoy"]["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
