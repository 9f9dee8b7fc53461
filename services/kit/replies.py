"""JSON answers that any text survives."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


def reply(status: int, content: Any, headers: dict[str, str] | None = None) -> Response:
    """`content` as JSON. ASCII only, so that a client's lone surrogate in a message cannot break the answer."""
    return Response(json.dumps(content), status_code=status, headers=headers, media_type="application/json")


def problem(status: int, detail: str, **more: Any) -> Response:
    """What went wrong, in the one shape that all errors have."""
    return reply(status, {"detail": detail, **more})
