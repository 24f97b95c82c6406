"""An owner whose account was deleted: nothing more is taken, and nothing stays."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
import redis
import sqlalchemy as sa
from imagegen.auth.v1 import identity_service_pb2 as identity_pb
from imagegen.auth.v1 import identity_service_pb2_grpc
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import job_pb2
from imagegen.executor.v1 import operator_service_pb2 as operator_pb

from services.executor import store
from services.executor.domain import OwnerErased, OwnerId, State
from services.executor.erasing import Eraser
from services.executor.events import PREVIEWS, PREVIEWS_SECONDS
from services.executor.scheduling.ledger import Ledger
from services.runtime.channels import Peer, channel
from services.runtime.erasures import Erasures
from tests.executor.builders import a_job, a_spec
from tests.executor.sketch_process import SketchProcess
from tests.executor.test_server import GENERATION, a_submit, change, claim, read, submit, watch
from tests.executor.worker_parts import MAX_ATTEMPTS, in_thread, now, until, worker_parts
from tests.executor.worker_process import WorkerProcess
from tests.executor.workshop import OPERATOR, Workshop
from tests.grpc_errors import reason
from tests.identities import identity
from tests.serving import stand_in

ROUNDS = 10
AT_ONCE = timedelta(0)


@pytest.fixture
def owner():
    return OwnerId(uuid4())


@pytest.fixture
def eraser(executor):
    return Eraser(executor.database, executor.executor.cancel, executor.clock)


@pytest.fixture
def sketch():
    with SketchProcess() as sketch:
        yield sketch


@pytest.fixture
def hire(database_url, redis_url, results, sketch):
    def hire(**settings):
        return worker_parts(
            database_url=database_url,
            redis_url=redis_url,
            results_address=results.address,
            comfyui_url=sketch.url,
            **settings,
        )

    return hire


def traces(database, owner) -> list[str]:
    """The tables with a row that has the id anywhere."""
    with database.transaction() as tx:
        listed = tx.execute(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"))
        return [
            name
            for name in listed.scalars().all()
            if tx.execute(
                sa.text(f"SELECT EXISTS (SELECT FROM {name} t WHERE t::text LIKE :id)"), {"id": f"%{owner}%"}
            ).scalar_one()
        ]


def rows(database, table, where="true"):
    with database.transaction() as tx:
        return sorted(tx.execute(sa.text(f"SELECT * FROM {table} WHERE {where}")).all())


def cancel(executor, job_id, owner_id):
    request = pb.CancelJobRequest(job_id=str(job_id), owner_id=str(owner_id))
    return executor.stub.CancelJob(request, metadata=GENERATION, timeout=5).job


def refusal(call, request, metadata=GENERATION):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, metadata=metadata, timeout=5)
    return caught.value.code(), reason(caught.value)


def test_nothing_of_an_erased_owner_is_left_and_others_keep_all(executor, register_worker, eraser, owner, redis_url):
    register_worker("sd15", "sdxl")
    other, mine = str(uuid4()), str(owner)
    for whose in (other, mine):
        held = submit(executor, owner_id=whose)
        claim(executor, held.id)
        change(executor, held.id, lambda job: job.complete(1, datetime.now(UTC)))
        read(executor, submit(executor, owner_id=whose).id, submit(executor, owner_id=whose, model="sdxl").id)
        cancel(executor, uuid4(), whose)
    tables = [(table, key) for table, key in (("jobs", "owner_id"), ("lanes", "owner_id"), ("owners", "id"))]
    of_other = [rows(executor.database, table, f"{key} = '{other}'") for table, key in tables]
    clocks = rows(executor.database, "clocks")
    assert traces(executor.database, owner) == ["jobs", "lanes", "owners"]

    assert eraser.erase(owner)

    assert traces(executor.database, owner) == []
    assert [rows(executor.database, table, f"{key} = '{other}'") for table, key in tables] == of_other
    assert rows(executor.database, "clocks") == clocks
    with redis.Redis.from_url(redis_url) as client:
        kept = b"".join(filter(None, map(client.dump, client.keys())))
        assert mine.encode() not in kept
        assert mine.encode() not in b"".join(repr(client.xrange(key)).encode() for key in client.keys("*:events"))


def test_nothing_is_taken_for_an_erased_owner(executor, register_worker, eraser, owner):
    register_worker("sd15")
    assert eraser.erase(owner), "of whom nobody here has ever heard"
    erased = (grpc.StatusCode.FAILED_PRECONDITION, "OWNER_ERASED")
    assert refusal(executor.stub.SubmitJob, a_submit(owner_id=str(owner))) == erased
    weigh = operator_pb.UpdateOwnerRequest(owner_id=str(owner), weight=2)
    assert refusal(executor.operators.UpdateOwner, weigh, OPERATOR) == erased
    assert cancel(executor, uuid4(), owner).state == job_pb2.JOB_STATE_CANCELED
    assert traces(executor.database, owner) == []


def test_erasing_again_changes_nothing(executor, register_worker, eraser, owner):
    register_worker("sd15")
    submit(executor, owner_id=str(owner))
    assert [eraser.erase(owner) for _ in range(3)] == [True] * 3
    assert len(rows(executor.database, "erased_owners")) == 1
    assert traces(executor.database, owner) == []


def test_a_held_job_stays_until_its_worker_has_ended_it_and_its_pictures_are_discarded(
    executor, register_worker, eraser, owner
):
    register_worker("sd15")
    job = submit(executor, owner_id=str(owner))
    claim(executor, job.id)
    events = watch(executor, job.id)
    next(events)
    assert not eraser.erase(owner)
    assert next(events).status.state == job_pb2.JOB_STATE_PENDING, "its followers hear of the cancel"
    with executor.database.transaction() as tx:
        assert store.get_job(tx, job.id).cancel_requested
    change(executor, job.id, lambda job: job.cancel(1, datetime.now(UTC)))
    assert not eraser.erase(owner), "its worker may have stored a picture"
    with executor.database.transaction() as tx:
        store.mark_discarded(tx, job.id)
    assert eraser.erase(owner)
    assert traces(executor.database, owner) == []
    with pytest.raises(grpc.RpcError) as caught:
        list(events)
    assert reason(caught.value) == "JOB_NOT_FOUND", "who follows a job that is deleted does not wait for ever"


def test_a_job_whose_worker_is_gone_is_ended_by_the_expiry_of_its_lease(executor, register_worker, eraser, owner):
    register_worker("sd15")
    job = submit(executor, owner_id=str(owner))
    claim(executor, job.id)
    assert not eraser.erase(owner)
    executor.clock.ahead += timedelta(minutes=1)
    executor.expiry.look(AT_ONCE, MAX_ATTEMPTS)
    with executor.database.transaction() as tx:
        assert store.get_job(tx, job.id).state is State.CANCELED
        store.mark_discarded(tx, job.id)
    assert eraser.erase(owner)


def test_a_submit_in_flight_does_not_slip_in_behind(executor, register_worker, eraser, owner):
    """It has the account and is not committed yet: the erasure waits, and then finds its job."""
    register_worker("sd15")
    with executor.database.transaction() as tx:
        Ledger(None).add(tx, a_job(owner_id=owner, created_at=now()))
        erased = in_thread(lambda: eraser.erase(owner))
        until(lambda: is_waited_for(executor.database))
    assert erased()
    assert traces(executor.database, owner) == []


def is_waited_for(database) -> bool:
    with database.transaction() as tx:
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return tx.execute(sa.text(f"SELECT EXISTS ({waiting})")).scalar_one()


def race(*actions):
    """All at the same moment; what each returned, or raised of OwnerErased."""
    barrier = threading.Barrier(len(actions))

    def act(action):
        barrier.wait()
        try:
            return action()
        except OwnerErased as error:
            return error

    return [running() for running in [in_thread(lambda action=action: act(action)) for action in actions]]


def test_submits_cancels_and_erasures_at_the_same_moment_leave_nothing(executor, register_worker, eraser):
    register_worker("sd15")
    for _ in range(ROUNDS):
        owner, job_id = OwnerId(uuid4()), uuid4()
        submit(executor, owner_id=str(owner))
        race(
            lambda: executor.executor.submit(job_id, owner, "sd15", a_spec()),  # noqa: B023 - it is over in this round
            lambda: executor.executor.submit(uuid4(), owner, "sd15", a_spec()),  # noqa: B023
            lambda: executor.executor.cancel(job_id, owner),  # noqa: B023
            lambda: eraser.erase(owner),  # noqa: B023
            lambda: eraser.erase(owner),  # noqa: B023
        )
        assert eraser.erase(owner)
        assert traces(executor.database, owner) == []


def test_a_claim_and_an_erasure_at_the_same_moment_paint_nothing_that_stays(executor, hire, eraser, results):
    database = executor.database
    with hire() as worker:
        for _ in range(ROUNDS):
            job = a_job(owner_id=OwnerId(uuid4()), created_at=now(), spec=a_spec(width=64, height=64, steps=2))
            with database.transaction() as tx:
                Ledger(None).add(tx, job)
            claimed, _ = race(worker.claim, lambda: eraser.erase(job.owner_id))  # noqa: B023
            if claimed:
                assert not eraser.erase(job.owner_id)
                worker.painter.paint(claimed)
            assert eraser.erase(job.owner_id)
            assert traces(database, job.owner_id) == []
            assert not results.pictures.get(str(job.id))


def test_a_worker_that_finishes_while_its_owner_is_erased_leaves_no_picture(executor, hire, eraser, results):
    database = executor.database
    with hire() as worker:
        for _ in range(ROUNDS):
            job = a_job(owner_id=OwnerId(uuid4()), created_at=now(), spec=a_spec(width=64, height=64, steps=2))
            with database.transaction() as tx:
                Ledger(None).add(tx, job)
            gate = results.hold_next()
            claimed = worker.claim()
            painted = in_thread(lambda: worker.painter.paint(claimed))  # noqa: B023
            assert gate.arrived.wait(30)
            race(gate.open, lambda: eraser.erase(job.owner_id))  # noqa: B023
            painted()
            assert eraser.erase(job.owner_id)
            assert traces(database, job.owner_id) == []
            is_completed = str(job.id) not in results.discarded  # then results erases the picture itself
            assert list(results.pictures.get(str(job.id), {})) == ([0] if is_completed else [])


def test_a_worker_that_wakes_after_its_row_is_gone_stops_quietly(executor, hire, eraser, results, capfd):
    """As if it had been stopped after its claim: its lease has expired, and it never learns of that."""
    database, owner = executor.database, OwnerId(uuid4())
    job = a_job(owner_id=owner, created_at=now(), spec=a_spec(width=64, height=64, steps=2))
    with database.transaction() as tx:
        Ledger(None).add(tx, job)
    with hire(lease=AT_ONCE, renews=False) as sleeper, hire() as other:
        gate = results.hold_next()
        claimed = sleeper.claim()
        late = in_thread(lambda: sleeper.painter.paint(claimed))
        assert gate.arrived.wait(30)
        executor.expiry.look(AT_ONCE, MAX_ATTEMPTS)
        assert not eraser.erase(owner)
        other.painter.discard_what_is_left()
        assert eraser.erase(owner)
        gate.open()
        late()
        sleeper.runs.sweep()
        until(lambda: sleeper.run_ids() == [] and sleeper.engine.queue_length() == 0)
    assert traces(database, owner) == []
    assert not results.pictures.get(str(job.id))
    log = capfd.readouterr().out
    assert "attempt left to its lease" not in log
    assert str(owner) not in log


def test_a_real_worker_drops_what_it_paints_for_an_erased_owner(executor, eraser, results, database_url, redis_url):
    at, owner = Workshop(executor, results), OwnerId(uuid4())
    with (
        SketchProcess(step_seconds=0.2) as sketch,
        WorkerProcess(
            database_url=database_url,
            redis_url=redis_url,
            results_address=results.address,
            comfyui_url=sketch.url,
        ) as worker,
    ):
        until(lambda: at.report_of(worker.engine_id))
        painted = at.submit(owner_id=str(owner), steps=100)
        waiting = [at.submit(owner_id=str(owner), steps=100) for _ in range(2)]
        at.until(painted, "progress")
        until(lambda: eraser.erase(owner))
        assert traces(executor.database, owner) == []
        assert not any(results.pictures.get(job_id) for job_id in (painted, *waiting))
        others = at.submit()
        assert at.ended(others).state == job_pb2.JOB_STATE_COMPLETED, "the engine is free again"


class Auth(identity_service_pb2_grpc.IdentityServiceServicer):
    """Lists deleted accounts until they are acknowledged."""

    def __init__(self, *user_ids):
        self.listed = [str(user_id) for user_id in user_ids]

    def ListErasures(self, request, context):
        return identity_pb.ListErasuresResponse(user_ids=self.listed)

    def AcknowledgeErasure(self, request, context):
        self.listed.remove(request.user_id)
        return identity_pb.AcknowledgeErasureResponse()


def test_auth_is_told_once_nothing_is_left(executor, register_worker, eraser):
    register_worker("sd15")
    holding, waiting, unknown = OwnerId(uuid4()), OwnerId(uuid4()), OwnerId(uuid4())
    held = submit(executor, owner_id=str(holding))
    claim(executor, held.id)
    submit(executor, owner_id=str(waiting))
    auth = Auth(holding, waiting, unknown)
    register = identity_service_pb2_grpc.add_IdentityServiceServicer_to_server
    with stand_in(lambda server: register(auth, server)) as address, channel(address) as to_auth:
        erasures = Erasures(to_auth, Peer(identity("executor"), "auth"), eraser.erase)
        erasures.look()
        assert auth.listed == [str(holding)]
        change(executor, held.id, lambda job: job.cancel(1, datetime.now(UTC)))
        with executor.database.transaction() as tx:
            store.mark_discarded(tx, held.id)
        erasures.look()
    assert not auth.listed


def test_pictures_in_the_making_are_gone_from_the_log_within_a_minute(executor, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(PREVIEWS, {"i": "", "j": str(uuid4()), "e": 1, "p": b""}, id="1000-0")
        executor.publisher.preview(uuid4(), 1, "image/jpeg", b"")
        assert client.xlen(PREVIEWS) == 1
        assert 0 < client.ttl(PREVIEWS) <= PREVIEWS_SECONDS
