"""The processor's own HTTP: health, readiness and metrics."""

from fastapi import FastAPI

from services.processor.engine import Engine
from services.processor.settings import ProcessorSettings
from shared.runtime.health import health_routes
from shared.runtime.problems import answer_with_problems
from shared.runtime.topic_admin import check_topics


def make_app(settings: ProcessorSettings, engine: Engine) -> FastAPI:
    """The app; `kafka` is ready when every topic is as it has to be, `lanes` when none has stopped."""
    app = FastAPI(title="Hospital bulk: processor", docs_url="/docs")
    checks = {"kafka": lambda: check_topics(settings), "lanes": engine.intake.check_lanes}
    app.include_router(health_routes(checks, engine.liveness.check))
    answer_with_problems(app)
    return app
