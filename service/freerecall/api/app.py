"""The FastAPI application."""

from fastapi import FastAPI

from freerecall import __version__
from freerecall.api import exam_routes, problems
from freerecall.api.guard import Guard
from freerecall.api.metrics import Metrics
from freerecall.api.observe import Observe
from freerecall.api.routes import health, router
from freerecall.api.service import lifespan
from freerecall.settings import Settings
from freerecall.web import pages


def create_app(settings: Settings, *, loopback: bool = True) -> FastAPI:
    """Return the service for these settings: HTTP API and pages. It opens its store when it starts.

    `loopback`: only this machine can reach it; then it needs neither a token nor accounts.
    """
    app = FastAPI(
        title="freerecall",
        version=__version__,
        description="Typed answers, graded against a reference with evidence, scheduled for review.",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.include_router(health)
    app.include_router(router)
    app.include_router(exam_routes.router)
    pages.install(app)
    unexpected = problems.install(app, pages.error_page)
    app.add_middleware(Guard, token=settings.token, loopback=loopback)
    app.add_middleware(Observe, metrics=app.state.metrics, unexpected=unexpected)
    return app
