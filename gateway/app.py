"""The application: its routes, its errors, its OpenAPI document."""

from asyncio import Event
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway import auth, errors, events, generation, health, keys, models, page, results
from gateway.clients import Neighbours
from gateway.middleware import RequestMiddleware
from gateway.problems import Problem
from gateway.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """`state.stopping` ends the open event streams when it is set; `state.neighbours` lives as long as the app."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stopping = Event()
        app.state.neighbours = Neighbours(
            auth=settings.auth_address, generation=settings.generation_address, results=settings.results_address
        )
        yield
        await app.state.neighbours.close()

    app = FastAPI(
        title="ImageGen",
        version="1",
        summary="Text to image: send a prompt, watch the picture appear, keep it.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads its scripts from a foreign host; gateway/page has its own
        redoc_url=None,
        openapi_url=None,  # gateway/page serves it
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for module in (auth, generation, events, models, results, keys, health, page):
        app.include_router(module.router)
    app.add_middleware(RequestMiddleware)
    errors.install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign] # FastAPI's own way to extend the document
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI, with the error schema that the routes' examples refer to."""
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        app.openapi_schema["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    return app.openapi_schema
