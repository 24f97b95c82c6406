"""Writing jobs together with what that means for their owners: the heads of their lanes, and what they pay.

Every change of a job that others could claim, or that a worker takes or gives up, is written here, so lanes and
accounts are true whenever a transaction ends. A job is locked before its owner, the owner before a clock.
"""

from datetime import datetime
from enum import Enum, auto

from sqlalchemy import Connection

from services.executor import store
from services.executor.domain import Job, NotClaimable, OwnerErased, OwnerId
from services.executor.scheduling.fairshare import Account


class _Place(Enum):
    WAITING = auto()
    HELD = auto()
    ENDED = auto()


class Ledger:
    """`running_cap`: most jobs of one owner that workers may hold at once, where the owner has no cap of its own."""

    def __init__(self, running_cap: int | None) -> None:
        self._running_cap = running_cap

    def add(self, tx: Connection, job: Job) -> bool:
        """Write a new job. False if the id is there already. Raises OwnerErased."""
        if not store.insert_job(tx, job):
            return False
        account = self.open_account(tx, job.owner_id)
        if job.is_waiting:
            if not store.has_waiting(tx, job.owner_id):
                account = account.arrive(store.arrival_clock(tx, job.model))
            self._save(tx, account, job.model)
        return True

    def save(self, tx: Connection, before: Job, after: Job, now: datetime) -> None:
        """Write what an event made of a job that this transaction has locked.

        Raises NotClaimable, with nothing written, if a worker would take it and its owner is at the running cap: two
        workers may have seen heads of one owner at the same time.
        """
        came, went = _place_of(before), _place_of(after)
        if came is went:
            store.save_job(tx, before, after)
            return
        account = store.lock_account(tx, after.owner_id)
        if went is _Place.HELD:
            assert after.lease is not None
            cap = self._cap(account)
            if cap is not None and store.held_of(tx, account.owner_id) >= cap:
                raise NotClaimable
            clock = store.get_clock(tx, after.lease.engine_id)
            account, v = account.charge(clock, after.cost)
            if v > clock:
                store.advance_clock(tx, after.lease.engine_id, v)
        elif came is _Place.HELD:
            account = account.settle(before.cost, _seconds_used(before, now))
        store.save_job(tx, before, after)
        self._save(tx, account, after.model)

    def start_of_newcomer(self, tx: Connection, owner_id: OwnerId, model: str) -> float | None:
        """The virtual time at which fair share would start a job that the owner added now; None if the owner's
        running cap would hold it back. Writes nothing.
        """
        account = store.get_account(tx, owner_id)
        cap = self._cap(account)
        if cap is not None and store.held_of(tx, owner_id) >= cap:
            return None
        before_own = store.waiting_cost_of(tx, owner_id)
        if before_own is None:
            return account.arrive(store.arrival_clock(tx, model)).vtime
        return account.vtime + before_own / account.weight

    def open_account(self, tx: Connection, owner_id: OwnerId) -> Account:
        """The owner's account, locked, to write something new for the owner. Raises OwnerErased."""
        account = store.lock_account(tx, owner_id)
        if store.is_erased(tx, owner_id):
            raise OwnerErased
        return account

    def save_account(self, tx: Connection, account: Account) -> None:
        """Write an account that this transaction has locked."""
        self._save(tx, account, None)

    def _save(self, tx: Connection, account: Account, model: str | None) -> None:
        store.save_account(tx, account, model, self._cap(account))

    def _cap(self, account: Account) -> int | None:
        return account.running_cap or self._running_cap


def _place_of(job: Job) -> _Place:
    if job.is_finished:
        return _Place.ENDED
    return _Place.WAITING if job.lease is None else _Place.HELD


def _seconds_used(job: Job, now: datetime) -> float:
    """How long an engine worked on a held job; of one whose worker is gone, until its lease ended."""
    if job.started_at is None or job.lease is None:
        return 0.0
    return max(0.0, (min(now, job.lease.expires_at) - job.started_at).total_seconds())
