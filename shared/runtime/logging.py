"""Structured logging: a line is an event with its fields, as JSON for machines or coloured text for a person.

Bind `job_id` and `row` with `structlog.contextvars.bound_contextvars`, and every line on their way carries them.
"""

import logging
import sys

import structlog

from shared.runtime.settings import LogSettings


def configure_logging(settings: LogSettings, service: str) -> None:
    """Sends structlog's lines and those of the libraries through one formatter to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # What is below the level costs nothing: one line a row is much.
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers(settings, service))
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    _quieten()


def _renderers(settings: LogSettings, service: str) -> list[structlog.typing.Processor]:
    def with_service(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    first: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, with_service]
    if settings.log_format == "console":
        # rich, where it happens to be installed, takes seconds for a trace and prints every local variable in it.
        plain = structlog.dev.plain_traceback
        return [*first, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [*first, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _quieten() -> None:
    # One line a request is the proxy's business; aiokafka repeats each failed connection several times a second.
    # Readiness asks Alembic for the version; every upload has a producer that tells of its coordinator.
    chatty = ("aiokafka.consumer", "aiokafka.producer.sender", "alembic.runtime.migration")
    for name in ("uvicorn.access", "httpx", "httpcore", *chatty):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("aiokafka.conn", "aiokafka.cluster"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # aiokafka's client logs under the name of the whole library, whose other parts have to be heard.
    logging.getLogger("aiokafka").disabled = True
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
