"""The judge itself: every broken promise is seen, and a sound end is not called one."""

from dataclasses import replace

import pytest

from tests.chaos.evidence import Evidence
from tests.chaos.people import Asked, Wish
from tests.chaos.promises import broken_leases, broken_promises

TASK = "01a20f96-49c5-762c-9902-92dc0d327a11"
WISH = Wish(at=0, prompt="", count=2, cancel_after=None, watches=True, signs_in=False)
ASKED = Asked(WISH, TASK, "completed")
RESULTS = [{"task_id": TASK, "index": index, "image_url": f"{index}.png"} for index in range(2)]
COMPLETED = {"id": TASK, "status": "completed", "waiting_reason": None, "results": RESULTS, "error": None}
FAILED = {**COMPLETED, "status": "failed", "results": [], "error": {"code": "engine_lost", "message": "It was lost."}}
JOB = {"state": "completed"}
EVIDENCE = Evidence({TASK: COMPLETED}, {TASK: {}}, {TASK: JOB}, RESULTS, frozenset(), frozenset({"0.png", "1.png"}))
NOTHING = replace(EVIDENCE, results=[], files=frozenset(), shown={TASK: FAILED}, jobs={TASK: {"state": "failed"}})


@pytest.mark.parametrize(
    ("asked", "evidence"),
    [
        (ASKED, EVIDENCE),
        (ASKED, replace(EVIDENCE, files=EVIDENCE.files | {"2.png", "3.png#1"}, orphans=frozenset({"2.png", "3.png"}))),
        (ASKED, replace(EVIDENCE, files=EVIDENCE.files | {"0.webp"}, variants=frozenset({"0.webp"}))),
        (Asked(WISH, TASK), NOTHING),
        (Asked(WISH, TASK), replace(NOTHING, jobs={})),  # refused at the door
        (
            Asked(replace(WISH, cancel_after=1), TASK, "canceled"),
            replace(NOTHING, shown={TASK: {**FAILED, "status": "canceled"}}, jobs={TASK: {"state": "canceled"}}),
        ),
    ],
)
def test_a_sound_end_breaks_no_promise(asked, evidence):
    assert broken_promises([asked], evidence) == []


@pytest.mark.parametrize(
    ("evidence", "complaint"),
    [
        (replace(EVIDENCE, shown={}), "lost"),
        (replace(EVIDENCE, shown={TASK: {**COMPLETED, "status": "processing"}}), "stuck"),
        (replace(EVIDENCE, results=RESULTS[:1]), "results [0] instead of [0, 1]"),
        (replace(EVIDENCE, results=RESULTS * 2), "results [0, 0, 1, 1] instead of [0, 1]"),
        (replace(EVIDENCE, shown={TASK: {**COMPLETED, "results": []}}), "shown [] instead of [0, 1]"),
        (replace(EVIDENCE, jobs={}), "never had it"),
        (replace(EVIDENCE, jobs={TASK: {"state": "canceled"}}), "its job is canceled"),
        (replace(EVIDENCE, jobs={TASK: JOB, "another": JOB}), "another: a job without a task"),
        (replace(EVIDENCE, shown={TASK: COMPLETED, "another": COMPLETED}), "another: nobody was told"),
        (replace(EVIDENCE, files=EVIDENCE.files | {"2.png"}), "2.png, which belongs to nothing"),
        (replace(EVIDENCE, files=frozenset({"0.png"})), "lost 1.png"),
        (replace(EVIDENCE, variants=frozenset({"0.webp"})), "lost 0.webp"),
        (NOTHING, "saw it end completed"),
        (replace(NOTHING, shown={TASK: {**FAILED, "error": {"code": "engine_lost", "message": ""}}}), "a reason"),
        (replace(NOTHING, shown={TASK: {**FAILED, "status": "canceled"}}), "nobody had asked for that"),
        (replace(NOTHING, results=RESULTS[:1]), "the result 0 of no completed task"),
    ],
)
def test_a_broken_promise_is_seen(evidence, complaint):
    assert any(complaint in sentence for sentence in broken_promises([ASKED], evidence))


def test_two_requests_for_one_task_are_seen():
    assert broken_promises([ASKED, ASKED], EVIDENCE) == [f"{TASK}: 2 requests made one task"]


def line(epoch: int, state: str) -> str:
    return f"worker | [info] attempt ended attempts=0 epoch={epoch} request_id=x state={state} task_id={TASK}"


def test_one_end_per_lease_and_one_for_good_are_sound():
    assert broken_leases("\n".join([line(2, "pending"), line(5, "completed"), line(1, "pending")])) == []


@pytest.mark.parametrize(
    "ends", [[(1, "completed"), (2, "completed")], [(1, "failed"), (2, "pending")], [(1, "pending")] * 2]
)
def test_a_second_end_is_seen(ends):
    (sentence,) = broken_leases("\n".join(line(*end) for end in ends))
    assert sentence.startswith(f"{TASK}: ended more than once")
