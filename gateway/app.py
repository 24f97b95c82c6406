"""The application: its routes, its errors, what every request passes through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from gateway import (
    admin,
    api_keys,
    archive,
    auth,
    errors,
    events,
    export,
    gallery,
    generation,
    health,
    images,
    keys,
    models,
    openai,
    reference,
    sessions,
    share_links,
    shares,
    storage,
)
from gateway.clients import Neighbours
from gateway.compression import CompressionMiddleware
from gateway.conditional import ConditionalMiddleware
from gateway.document import openapi
from gateway.middleware import RequestMiddleware
from gateway.queries import unambiguous
from gateway.rates import RateLimits, RateMiddleware
from gateway.reference import problem_pages
from gateway.settings import Settings
from services.runtime.tokens import TokenVerifier


def create_app(settings: Settings, verifier: TokenVerifier) -> FastAPI:
    """`state.stopping` ends the open event streams when it is set, `state.draining` lets /healthz send callers
    elsewhere; the rest of `state` lives as long as the app.

    The verifier tells whose quota a request takes from; whether the caller may do anything, the services say.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.stopping = asyncio.Event()
        app.state.draining = False
        app.state.neighbours = Neighbours(
            auth=settings.auth_address,
            generation=settings.generation_address,
            results=settings.results_address,
            executor=settings.executor_address,
        )
        app.state.downloads = images.OpenDownloads()
        app.state.limits = RateLimits(
            settings.redis_url,
            verifier,
            per_user=settings.rate_limit_per_user,
            per_address=settings.rate_limit_per_address,
        )
        following = asyncio.create_task(verifier.authority.follow())
        yield
        following.cancel()
        await app.state.limits.close()
        await app.state.neighbours.close()

    app = FastAPI(
        title="ImageGen",
        version="1",
        summary="Text to image: send a prompt, watch the picture appear, keep it.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads its scripts from a foreign host; gateway/reference has its own
        redoc_url=None,
        openapi_url=None,  # gateway/reference serves it
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(unambiguous)],
    )
    for module in (
        *(auth, sessions, api_keys, export),
        *(generation, events, models, storage, gallery, archive, images, shares, openai, admin),
        *(keys, health, reference, problem_pages, share_links),
    ):
        app.include_router(module.router)
    for middleware in (CompressionMiddleware, ConditionalMiddleware, RateMiddleware, RequestMiddleware):
        # The last is the outermost.
        app.add_middleware(middleware)
    errors.install(app)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign] # FastAPI's own way to extend the document
    return app
