"""The log of the server on stderr: as text, or as one JSON object in each line. Contains no secrets."""

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from maas_mcp.maas.address import RegionAccess
from maas_mcp.machine_text import make_visible
from maas_mcp.redaction import HIDDEN, redact
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from pythonjsonlogger.core import LogData

TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LOGS_HEADERS: Final = ("httpcore", "httpcore2")
"""Loggers whose DEBUG records have the headers of responses, such as cookies and redirects with credentials."""
_MIN_PART: Final = 8
"""Characters of a part of an API key that is hidden on its own: MAAS's have 18 and more."""


def configure_logging(settings: Settings, regions: Iterable[RegionAccess] = ()) -> None:
    """Configure the root logger, to which all libraries log.

    Args:
        settings: The settings.
        regions: The regions, whose API keys are hidden.
    """
    formatter = _Redacted(TEXT) if settings.log_format == "text" else _json_formatter()
    formatter.hide(settings.maas_api_key.get_secret_value() if settings.maas_api_key else "")
    for key in (each.api_key for each in regions if each.api_key is not None):
        formatter.hide(f"{key.consumer}:{key.token}:{key.secret}")
    for secret in (*settings.secret, *settings.vault_key, *settings.http_proxy_secret):
        formatter.hide(secret.get_secret_value())
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for name in _LOGS_HEADERS:
        logging.getLogger(name).setLevel(logging.INFO)


def log_always(logger: logging.Logger, message: str) -> None:
    """Log a message at INFO, whatever the level of the log."""
    logger.handle(logging.LogRecord(logger.name, logging.INFO, "", 0, message, None, None))


class _Redacted(logging.Formatter):
    """Replaces secrets in records and tracebacks, wherever they come from."""

    _secrets: tuple[str, ...] = ()

    def hide(self, secret: str) -> None:
        """Hide this secret, and each of its parts if it is an API key."""
        parts = (secret, *(part for part in secret.split(":") if len(part) >= _MIN_PART))
        self._secrets += tuple(dict.fromkeys(form for each in parts if each for form in (each, json.dumps(each)[1:-1])))

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, without secrets and invisible characters."""
        return self._redact(make_visible(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of the base class
        """Return the message with its further lines indented, so that no text in it can pose as another record."""
        return super().formatMessage(record).replace("\n", "\n    ")

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return redact(text)


def _json_formatter() -> _Redacted:
    from pythonjsonlogger.core import RESERVED_ATTRS  # noqa: PLC0415 - not imported unless used
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - as above

    from maas_mcp.calls.log_context import log_fields  # noqa: PLC0415 - as above

    class Json(_Redacted, JsonFormatter):
        """Writes the time, level, logger and message of a record, the ids of its call, and its exception."""

        def add_fields(self, log_data: "LogData", record: logging.LogRecord, message_dict: dict[str, object]) -> None:
            log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
            log_data["level"] = record.levelname
            log_data["logger"] = record.name
            log_data["message"] = record.getMessage()
            log_data.update(log_fields())
            log_data.update(_trace_fields())
            if exception := message_dict.get("exc_info"):
                log_data["exception"] = exception

    return Json(reserved_attrs=[*RESERVED_ATTRS, "color_message"])


def _trace_fields() -> dict[str, str]:
    """Return the ids of the current span, if traces are recorded."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return {}
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - not imported unless used

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
