"""Whether the gateway is alive, and whether the services behind it are."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.bodies import Answer
from gateway.problems import problem, problems

router = APIRouter(tags=["health"])


class Health(Answer):
    status: str


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health(status="alive")


@router.get("/readyz", response_model=Health, responses=problems("not_ready"))
async def readyz(request: Request) -> Health | Response:
    """Every service behind the gateway answers its gRPC health check; otherwise the detail names those that do not."""
    unready = await request.app.state.neighbours.unready()
    if unready:
        return problem(request, "not_ready", detail=f"These services do not answer: {', '.join(unready)}.")
    return Health(status="ready")
