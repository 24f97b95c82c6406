"""The certificates between services, where the caller gives some."""

from collections.abc import Mapping
from pathlib import Path

from deploy.envoy.render import Certificates

SETTINGS = ("GRPC_TLS_CA", "GRPC_TLS_CERT", "GRPC_TLS_KEY")


class CertificatesRefused(Exception):
    """The text is one sentence for whoever set them."""


def certificates_of(given: Mapping[str, str]) -> Certificates | None:
    """What the environment `given` names; None if it names nothing, and gRPC goes in the clear.

    Raises:
        CertificatesRefused: some of the three are missing, or a file is.
    """
    files = {name: given[name] for name in SETTINGS if given.get(name)}
    if not files:
        return None
    for name in SETTINGS:
        if name not in files:
            raise CertificatesRefused(f"{', '.join(files)} needs {name} as well: gRPC has all certificates, or none.")
        if not Path(files[name]).is_file():
            raise CertificatesRefused(f"{name}: {files[name]} is not a file.")
    return Certificates(*(str(Path(files[name]).resolve()) for name in SETTINGS))
