"""Whether the gateway is alive, and whether the services behind it are."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.bodies import Answer
from gateway.problems import problem, problems

router = APIRouter(tags=["health"])


class Health(Answer):
    status: str


@router.get("/healthz", response_model=Health, responses=problems("unavailable"))
async def healthz(request: Request) -> Health | Response:
    """The process is alive, and does not stop: one that does wants no more requests."""
    if request.app.state.draining:
        return problem(request, "unavailable", detail="This replica is about to stop.")
    return Health(status="alive")


@router.get("/readyz", response_model=Health, responses=problems("not_ready"))
async def readyz(request: Request) -> Health | Response:
    """Every service behind the gateway answers its gRPC health check; otherwise the detail names those that do not."""
    unready = await request.app.state.neighbours.unready()
    if unready:
        return problem(request, "not_ready", detail=f"These services do not answer: {', '.join(unready)}.")
    return Health(status="ready")
