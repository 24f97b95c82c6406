"""Which job a worker takes, on real PostgreSQL."""

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from services.executor import store
from services.executor.catalogue import hints_of
from services.executor.domain import EngineId, LeaseLost, NotClaimable, OwnerId
from services.executor.scheduling.claims import COURTESY, Claims
from services.executor.scheduling.estimates import Estimates, Hint
from services.executor.scheduling.ledger import Ledger
from services.executor.workers import Worker
from tests.executor.builders import ENGINE, FAILURE, LEASE, a_job, a_spec
from tests.executor.conftest import FOLDER

OTHER_ENGINE = EngineId(uuid4())
SD15 = frozenset({"sd15"})
BOTH = frozenset({"sd15", "sdxl"})


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database, clock):
    """Put jobs into the queue."""

    def put(*jobs):
        with database.transaction() as tx:
            for job in jobs:
                Ledger(None).add(tx, job)
        return jobs

    return put


@pytest.fixture
def claiming(database, clock):
    """Makes a worker's claim, a function of models that returns the job or None."""
    # A tenth of a GPU-second for a picture of 512×512 in four steps, and ten for a load.
    estimates = Estimates(dict.fromkeys(hints_of(FOLDER.models), Hint(0.1 / a_spec().work, 10.0)), {})

    def worker(engine=ENGINE, cap=None):
        claims = Claims(
            engine, database=database, ledger=Ledger(cap), estimates=lambda: estimates, lease=LEASE, clock=clock
        )

        def claim(models=SD15, *, loaded="sd15", ahead=False):
            return claims.claim(frozenset(models), loaded=loaded, ahead=ahead)

        claim.claims = claims
        return claim

    return worker


def an_idle_worker(database, clock, *models, **reported):
    worker = Worker(**{"engine_id": OTHER_ENGINE, "models": frozenset(models), "seen_at": clock(), **reported})
    with database.transaction() as tx:
        store.save_worker(tx, worker)


def change(database, job, event, now):
    with database.transaction() as tx:
        before = store.get_job(tx, job.id, lock=True)
        after = event(before)
        Ledger(None).save(tx, before, after, now)
    return after


def test_owners_take_turns_however_many_jobs_one_of_them_has(claiming, queue):
    greedy, light = OwnerId(uuid4()), OwnerId(uuid4())
    queue(*(a_job(owner_id=greedy) for _ in range(4)), a_job(owner_id=light))
    claim = claiming()
    assert [claim().owner_id for _ in range(3)] == [greedy, light, greedy]


def test_only_jobs_of_the_engines_models_are_taken(claiming, queue):
    queue(a_job(model="sdxl"))
    claim = claiming()
    assert claim(SD15) is None
    assert claim(frozenset()) is None


def test_a_job_is_claimed_by_one_worker_only(claiming, queue):
    owner = OwnerId(uuid4())
    queue(*(a_job() for _ in range(20)), *(a_job(owner_id=owner) for _ in range(20)))
    barrier = threading.Barrier(6)

    def take_all(engine):
        claim = claiming(engine)
        barrier.wait()
        taken = []
        while job := claim():
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [job_id for jobs in pool.map(take_all, [EngineId(uuid4()) for _ in range(6)]) for job_id in jobs]
    assert len(taken) == len(set(taken)) == 40


def test_a_slot_that_works_ahead_leaves_jobs_to_an_idle_worker(database, claiming, clock, queue):
    queue(a_job())
    an_idle_worker(database, clock, "sd15")
    claim = claiming()
    assert claim(ahead=True) is None
    assert claim.claims.idle_worker_for("sd15") == OTHER_ENGINE
    assert claim()


@pytest.mark.parametrize(
    "reported", [{"drained": True}, {"is_well": False}, {"quarantined_until": datetime(2200, 1, 1, tzinfo=UTC)}]
)
def test_a_slot_works_ahead_when_the_idle_worker_takes_nothing(database, claiming, clock, queue, reported):
    queue(a_job())
    an_idle_worker(database, clock, "sd15", **reported)
    assert claiming()(ahead=True)


def test_a_slot_works_ahead_when_the_idle_worker_is_away_or_cannot_do_it(database, claiming, clock, queue):
    queue(a_job(), a_job())
    an_idle_worker(database, clock, "sdxl")
    assert claiming()(ahead=True)
    an_idle_worker(database, clock, "sd15")
    clock.now += timedelta(minutes=1)
    assert claiming()(ahead=True)


def test_the_loaded_model_is_preferred_until_somebody_has_fallen_behind_by_more_than_a_load(claiming, queue):
    one, other = OwnerId(uuid4()), OwnerId(uuid4())
    queue(a_job(owner_id=other, model="sdxl"))
    queue(*(a_job(owner_id=one, spec=a_spec(width=5120, height=5120)) for _ in range(5)))  # ten seconds each
    claim = claiming()
    assert [claim(BOTH).model for _ in range(4)] == ["sd15", "sd15", "sdxl", "sd15"]


def test_a_job_is_left_for_a_moment_to_an_idle_worker_that_has_its_model_loaded(database, claiming, clock, queue):
    queue(a_job(model="sdxl", created_at=clock()))
    an_idle_worker(database, clock, "sdxl", loaded_model="sdxl")
    claim = claiming()
    assert claim(BOTH) is None
    assert claim.claims.idle_worker_for("sdxl") == OTHER_ENGINE
    clock.now += COURTESY + timedelta(milliseconds=1)
    assert claim(BOTH).model == "sdxl"


def test_an_owner_has_no_more_running_than_the_cap(database, claiming, clock, queue):
    owner = OwnerId(uuid4())
    queue(*(a_job(owner_id=owner) for _ in range(3)), a_job(owner_id=owner, model="sdxl"), *(a_job() for _ in range(2)))
    claim = claiming(cap=2)
    taken = [claim(BOTH) for _ in range(4)]
    assert [job.owner_id == owner for job in taken].count(True) == 2
    assert claim(BOTH) is None
    mine = next(job for job in taken if job.owner_id == owner)
    with database.transaction() as tx:
        before = store.get_job(tx, mine.id, lock=True)
        Ledger(2).save(tx, before, before.complete(1, clock()), clock())
    assert claim(BOTH).owner_id == owner
    assert claim(BOTH) is None


def test_two_workers_that_claim_at_the_same_moment_do_not_exceed_the_cap(database, claiming, queue):
    for _ in range(10):
        owner = OwnerId(uuid4())
        queue(a_job(owner_id=owner), a_job(owner_id=owner, model="sdxl"))
        barrier = threading.Barrier(2)

        def take(engine, model, barrier=barrier):
            claim = claiming(engine, cap=1)
            barrier.wait()
            return claim({model}, loaded=model)

        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(take, [ENGINE, OTHER_ENGINE], sorted(BOTH)))
        assert [job is None for job in taken].count(True) == 1


def test_an_operator_gives_one_owner_a_cap_of_its_own(database, claiming, queue):
    owner = OwnerId(uuid4())
    queue(*(a_job(owner_id=owner) for _ in range(2)))
    claim = claiming()
    assert claim()
    with database.transaction() as tx:
        tx.execute(sa.text("UPDATE owners SET running_cap = 1"))
        Ledger(None).save_account(tx, store.lock_account(tx, owner))
    assert claim() is None


def test_a_worker_that_was_drained_takes_nothing_though_it_has_not_heard_of_it(database, claiming, clock, queue):
    queue(a_job())
    an_idle_worker(database, clock, "sd15")
    with database.transaction() as tx:
        store.drain(tx, OTHER_ENGINE)
    assert claiming(OTHER_ENGINE)() is None
    assert claiming()()


def test_a_run_is_adopted_by_its_own_engine_once_its_lease_has_expired(claiming, clock, queue):
    queue(a_job())
    claimed = claiming()()
    assert claiming().claims.adopt() is None, "the lease still holds"
    clock.now += LEASE
    assert claiming(OTHER_ENGINE).claims.adopt() is None
    adopted = claiming().claims.adopt()
    assert (adopted.id, adopted.lease.prompt_id) == (claimed.id, claimed.lease.prompt_id)
    assert adopted.lease_epoch == claimed.lease_epoch + 1


def test_a_canceled_job_leaves_no_trace_in_its_owners_account(database, claiming, clock, queue):
    [job] = queue(a_job())
    change(database, job, lambda job: job.request_cancel(clock()), clock())
    with database.transaction() as tx:
        assert store.lock_account(tx, job.owner_id).vtime == 0.0
    assert claiming()() is None


def test_an_owner_pays_for_what_a_run_took_and_not_for_what_was_expected(database, claiming, clock, queue):
    [job] = queue(a_job())
    claiming()()
    change(database, job, lambda job: job.start(1, clock()), clock())
    clock.now += timedelta(seconds=7)
    change(database, job, lambda job: job.complete(1, clock()), clock())
    with database.transaction() as tx:
        assert store.lock_account(tx, job.owner_id).vtime == pytest.approx(7.0)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_the_lanes_show_the_heads_of_what_waits(database, claiming, clock, queue, seed):
    """Random events by several owners on two models; after each the lanes are what the jobs say."""
    chance = random.Random(seed)
    owners = [OwnerId(uuid4()) for _ in range(3)]
    jobs = []
    claim = claiming()
    for _ in range(60):
        match chance.choice(["submit", "submit", "claim", "give_back", "fail", "complete", "cancel", "start"]):
            case "submit":
                jobs += queue(a_job(owner_id=chance.choice(owners), model=chance.choice(sorted(BOTH))))
            case "claim":
                claim({chance.choice(sorted(BOTH))})
            case _ if not jobs:
                continue
            case "cancel":
                change(database, chance.choice(jobs), lambda job: job.request_cancel(clock()), clock())
            case "fail":
                happens(database, chance.choice(jobs), clock, lambda job, now: job.fail(1, FAILURE, 2, now))
            case event:
                happens(database, chance.choice(jobs), clock, lambda job, now, event=event: getattr(job, event)(1, now))
        assert_lanes_are_true(database)


def happens(database, job, clock, event):
    with contextlib.suppress(LeaseLost, NotClaimable):
        change(database, job, lambda job: event(job, clock()), clock())


def assert_lanes_are_true(database):
    with database.transaction() as tx:
        shown = tx.execute(sa.text("SELECT owner_id, model, job_id, queue_number, vtime FROM lanes ORDER BY 1, 2"))
        truth = tx.execute(
            sa.text("""
            SELECT DISTINCT ON (j.owner_id, j.model) j.owner_id, j.model, j.id, j.queue_number, o.vtime
            FROM jobs j JOIN owners o ON o.id = j.owner_id
            WHERE j.state = 'pending' AND j.engine_id IS NULL ORDER BY 1, 2, j.queue_number
            """)
        )
        assert shown.all() == truth.all()


def test_heads_are_read_from_their_index_however_many_owners_wait(database):
    with database.transaction() as tx:
        tx.execute(
            sa.text("""
            INSERT INTO lanes (owner_id, model, job_id, queue_number, vtime, is_open)
            SELECT uuidv7(), model, uuidv7(), n, random(), true
            FROM generate_series(1, 2000) n, unnest(ARRAY['sd15', 'sdxl']) model
            """)
        )
        tx.execute(sa.text("ANALYZE lanes"))
        asked = []
        sa.event.listen(tx, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
        store.heads(tx, BOTH, ENGINE)
        statement, parameters = asked[0]
        plan = "\n".join(tx.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
    assert "Index Scan using lanes_order on lanes" in plan
    assert "Sort" not in plan


def test_owners_are_not_behind_for_what_engines_did_that_share_no_model_with_theirs(queue, claiming, register_worker):
    register_worker("sd15")
    register_worker("sdxl", engine_id=OTHER_ENGINE)
    greedy, light, elsewhere = (OwnerId(uuid4()) for _ in range(3))
    queue(*(a_job(owner_id=greedy) for _ in range(3)))
    queue(*(a_job(owner_id=elsewhere, model="sdxl", spec=a_spec(steps=40_000)) for _ in range(2)))
    mine, others = claiming(), claiming(OTHER_ENGINE)
    assert mine().owner_id == greedy
    while others({"sdxl"}, loaded="sdxl"):
        pass
    queue(a_job(owner_id=light))
    assert mine().owner_id == light
