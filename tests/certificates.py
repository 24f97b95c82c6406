"""An authority of the test's own, and what it gives to processes that meet on loopback."""

import trustme


def put_certificates(folder, authority=None, *names):
    """Writes the three files, replacing former ones, and returns the settings that name them."""
    authority = authority or trustme.CA()
    ours = authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
    contents = {
        "GRPC_TLS_CA": authority.cert_pem.bytes(),
        "GRPC_TLS_CERT": b"".join(pem.bytes() for pem in ours.cert_chain_pems),
        "GRPC_TLS_KEY": ours.private_key_pem.bytes(),
    }
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: str(folder / name) for name in contents}
