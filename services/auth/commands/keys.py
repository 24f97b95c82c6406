"""`keys rotate-signing|reencrypt`: changing the keys that sign access tokens, and those that guard them at rest."""

import argparse

from services.auth.commands.parts import parts
from services.auth.domain import SIGNING_KEY_LINGER
from services.auth.encryption import reencrypt


def register(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = nouns.add_parser("keys", help="the service's own keys").add_subparsers(
        title="verbs", required=True, metavar="VERB"
    )
    rotate = verbs.add_parser("rotate-signing", help="sign access tokens with a new key; nobody is signed out")
    rotate.set_defaults(run=_rotate_signing)
    again = verbs.add_parser("reencrypt", help="encrypt what is kept by the first of AUTH_ENCRYPTION_KEYS")
    again.set_defaults(run=_reencrypt)


def _rotate_signing(_options: argparse.Namespace) -> int:
    with parts() as at:
        key = at.signing_keys.rotate()
    minutes = SIGNING_KEY_LINGER.total_seconds() / 60
    print(f"Access tokens are signed with {key.id} now; the former key is listed for {minutes:g} minutes more.")
    return 0


def _reencrypt(_options: argparse.Namespace) -> int:
    with parts() as at:
        values = reencrypt(at.database, at.encryption)
    print(f"{values} values are encrypted by the first key; the others are needed no longer.")
    return 0
