"""The component that encrypts gRPC between pods, on each overlay: who speaks it shows a certificate of its own name."""

import pytest

from deploy.envoy.render import Certificates, render
from deploy.local.credentials import CONTEXTS
from services.runtime.settings import TlsSettings
from tests.deploy.rendered import OVERLAYS, environment, with_component

CALLERS = {"envoy", "gateway", "worker"}
SPEAKERS = {*CONTEXTS, *CALLERS}
FILES = {"GRPC_TLS_CA": "/tls/ca.crt", "GRPC_TLS_CERT": "/tls/tls.crt", "GRPC_TLS_KEY": "/tls/tls.key"}


@pytest.fixture(params=OVERLAYS)
def objects(request, tmp_path) -> list[dict]:
    """Of an overlay with the component."""
    return with_component(request.param, "mtls", tmp_path)


def named(objects, *kinds):
    return {one["metadata"]["name"]: one for one in objects if one["kind"] in kinds}


def pods(objects):
    return {name: one["spec"]["template"]["spec"] for name, one in named(objects, "Deployment").items()}


def tls_variables(pod, configs):
    """What the pod's process is told of certificates."""
    sources = [
        source for source in pod["containers"][0].get("envFrom", []) if "grpc-tls" in str(source.get("configMapRef"))
    ]
    return environment({"envFrom": sources}, configs, {})


def test_every_process_of_ours_that_speaks_grpc_is_told_the_files_and_no_other(objects):
    configs = named(objects, "ConfigMap")
    told = {name: tls_variables(pod, configs) for name, pod in pods(objects).items()}
    assert {name: given for name, given in told.items() if given} == dict.fromkeys(SPEAKERS - {"envoy"}, FILES)
    assert {name.lower() for name in FILES} == TlsSettings.model_fields.keys()


def test_the_files_are_those_of_the_own_certificate_and_of_the_authorities(objects):
    certificates = named(objects, "Certificate")
    mounted = {}
    for name, pod in pods(objects).items():
        for volume in pod.get("volumes", []):
            if volume["name"] == "tls":
                secret, authorities = volume["projected"]["sources"]
                mounted[name] = secret["secret"]["name"]
                assert {item["path"] for item in secret["secret"]["items"]} == {"tls.crt", "tls.key"}
                assert authorities == {"configMap": {"name": "grpc-authorities"}}
                [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "tls"]
                assert mount == {"name": "tls", "mountPath": "/tls", "readOnly": True}
    assert mounted == {name: certificates[f"{name}-grpc"]["spec"]["secretName"] for name in SPEAKERS}
    assert len(set(mounted.values())) == len(SPEAKERS)


def test_a_certificate_has_the_names_by_which_the_service_is_dialled_and_no_others(objects):
    for name in SPEAKERS:
        certificate = named(objects, "Certificate")[f"{name}-grpc"]["spec"]
        # localhost: the probe's.
        assert certificate["dnsNames"] == ([name, "localhost"] if name in CONTEXTS else [name])
        assert certificate["usages"] == (["server auth"] if name in CONTEXTS else []) + ["client auth"]
        assert certificate["issuerRef"] == {"name": "grpc", "kind": "Issuer"}
    for config in named(objects, "ConfigMap").values():
        for variable, address in config.get("data", {}).items():
            if variable.endswith("_ADDRESS") and variable != "GATEWAY_ADDRESS":
                assert address.partition(":")[0] in CONTEXTS


def test_envoy_is_rendered_with_the_same_files(objects):
    [render_container] = pods(objects)["envoy"]["initContainers"]
    arguments = render_container["args"]
    assert arguments[arguments.index("--tls") + 1 :] == list(FILES.values())
    addresses = {name: f"{name}:50051" for name in (*CONTEXTS, "gateway", "app")}
    written = render(listen="0.0.0.0:8080", **addresses, tls=Certificates(*FILES.values()))
    assert written.count("/tls/tls.key") >= len(CONTEXTS)


def test_probes_of_grpc_call_with_certificates(objects):
    for name in CONTEXTS:
        main = pods(objects)[name]["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert "grpc" not in main[probe]
            assert main[probe]["exec"]["command"] == ["python", "-m", "services.runtime.probe", "localhost:50051"]
            assert main[probe]["timeoutSeconds"] > 5  # longer than the command's own
        assert main["livenessProbe"]["periodSeconds"] * main["livenessProbe"]["failureThreshold"] >= 120


def test_callers_may_be_older_than_a_certificate(objects):
    """They show what was there when they started: a new one comes long before the former one ends."""
    for name in SPEAKERS:
        certificate = named(objects, "Certificate")[f"{name}-grpc"]["spec"]
        duration, before = (int(certificate[field].removesuffix("h")) for field in ("duration", "renewBefore"))
        assert before >= duration / 2
