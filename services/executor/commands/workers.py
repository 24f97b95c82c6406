"""`workers list|drain|resume`: the workers, and whether they take jobs."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from imagegen.executor.v1 import operator_service_pb2 as pb
from imagegen.executor.v1 import worker_pb2

from services.executor.commands.calls import CALL_SECONDS, operator
from services.executor.commands.tables import table
from services.runtime.protos import from_enum, from_timestamp

_GIB = 2**30


def register(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verbs = nouns.add_parser("workers", help="the workers and their engines").add_subparsers(
        title="verbs", required=True, metavar="VERB"
    )
    verbs.add_parser("list", help="tell what each worker is and does").set_defaults(run=_list)
    drain = verbs.add_parser("drain", help="let a worker finish what it holds and take nothing more")
    drain.set_defaults(run=_drain)
    resume = verbs.add_parser("resume", help="let a drained or quarantined worker take jobs again")
    resume.set_defaults(run=_resume)
    for verb in (drain, resume):
        verb.add_argument("engine_id", metavar="ENGINE", help="its engine id, or the beginning of it")


def _list(_options: argparse.Namespace) -> int:
    workers = _workers()
    if not workers:
        print("No worker has reported within the last hour.")
        return 1
    header = ("engine", "state", "jobs", "loaded", "ComfyUI", "device", "VRAM free", "seen")
    for line in table(header, [_row(worker) for worker in workers]):
        print(line)
    for worker in workers:
        for line in _remarks(worker):
            print(line)
    return 0


def _drain(options: argparse.Namespace) -> int:
    request = pb.DrainWorkerRequest(engine_id=_engine_id(options.engine_id))
    with operator() as executor:
        answer = executor.stub.DrainWorker(request, metadata=executor.credentials, timeout=CALL_SECONDS)
    return _say(answer.worker)


def _resume(options: argparse.Namespace) -> int:
    request = pb.ResumeWorkerRequest(engine_id=_engine_id(options.engine_id))
    with operator() as executor:
        answer = executor.stub.ResumeWorker(request, metadata=executor.credentials, timeout=CALL_SECONDS)
    return _say(answer.worker)


def _say(worker: worker_pb2.Worker) -> int:
    print(f"{worker.engine_id} is {from_enum(worker_pb2.WorkerState, worker.state)}.")
    return 0


def _workers() -> list[worker_pb2.Worker]:
    with operator() as executor:
        request = pb.ListWorkersRequest()
        return list(executor.stub.ListWorkers(request, metadata=executor.credentials, timeout=CALL_SECONDS).workers)


def _engine_id(beginning: str) -> str:
    """The whole id. Ends the process with a sentence if not exactly one worker's begins so."""
    found = [worker.engine_id for worker in _workers() if worker.engine_id.startswith(beginning.lower())]
    if len(found) != 1:
        raise SystemExit(f"{len(found) or 'No'} workers have an engine id that begins with {beginning!r}.")
    return found[0]


def _row(worker: worker_pb2.Worker) -> tuple[str, ...]:
    seen = (datetime.now(UTC) - from_timestamp(worker.report_time)).total_seconds()
    return (
        worker.engine_id,
        from_enum(worker_pb2.WorkerState, worker.state) or "",
        str(len(worker.job_ids)),
        worker.loaded_model or "-",
        worker.engine_version or "-",
        worker.device or "-",
        f"{worker.vram_free / _GIB:.1f} of {worker.vram_total / _GIB:.1f} GiB",
        f"{max(0.0, seen):.0f} s ago",
    )


def _remarks(worker: worker_pb2.Worker) -> Iterator[str]:
    yield f"\n{worker.engine_id} paints {', '.join(worker.models) or 'nothing'}."
    if worker.problem:
        yield f"  {worker.problem}"
    if worker.HasField("quarantine_end_time"):
        yield f"  It will try one job at {from_timestamp(worker.quarantine_end_time):%H:%M:%S} UTC."
    for model in worker.missing_models:
        yield f"  {model.name} lacks {', '.join(model.files)}"
