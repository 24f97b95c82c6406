"""`roles list|grant`: who may do what operators may."""

import argparse

from services.auth import roles
from services.auth.commands.parts import now, parts
from services.auth.domain import Role, UserNotFound


def register(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = nouns.add_parser("roles", help="who is an operator").add_subparsers(
        title="verbs", required=True, metavar="VERB"
    )
    verbs.add_parser("list", help="tell who is an operator").set_defaults(run=_list)
    grant = verbs.add_parser("grant", help="give an account a role; a change signs it out everywhere")
    grant.add_argument("name", metavar="NAME", help="username or e-mail address")
    grant.add_argument("role", type=Role, choices=list(Role), metavar="operator|user")
    grant.set_defaults(run=_grant)


def _list(_options: argparse.Namespace) -> int:
    with parts() as at:
        operators = roles.list_operators(at.database)
    for line in [user.username for user in operators] or ["Nobody is an operator."]:
        print(line)
    return 0


def _grant(options: argparse.Namespace) -> int:
    with parts() as at:
        try:
            changed = roles.grant(at.database, options.name, options.role, now())
        except UserNotFound:
            raise SystemExit(f"There is no account {options.name!r}.") from None
    is_it = f"{options.name} is {'an operator' if options.role is Role.OPERATOR else 'a user'}"
    print(f"{is_it} now, and has to sign in again." if changed else f"{is_it} already.")
    return 0
