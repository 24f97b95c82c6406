"""Who may do what operators may. Only an operator of the machine says so, at its command line."""

from datetime import datetime

from services.auth import store
from services.auth.domain import Role, Scope, User, UserNotFound
from services.runtime.database import Database


def list_operators(database: Database) -> list[User]:
    """By name. Raises DependencyUnavailable."""
    with database.transaction() as tx:
        return store.list_operators(tx)


def grant(database: Database, name: str, role: Role, now: datetime) -> bool:
    """Give this role to who has this username or e-mail address; False if it is theirs already.

    A change ends their sessions, whose tokens say the old role, and revokes their keys for operators; their other keys
    never were good for more than everybody's. Raises UserNotFound or DependencyUnavailable.
    """
    with database.transaction() as tx:
        known = store.find_credentials(tx, name)
        if known is None:
            raise UserNotFound
        user = store.lock_credentials(tx, known.user.id).user
        if user.role is role:
            return False
        store.set_role(tx, user.id, role)
        store.end_sessions_of(tx, user.id, now)
        store.revoke_api_keys_of(tx, user.id, now, scope=Scope.ADMIN)
        return True
