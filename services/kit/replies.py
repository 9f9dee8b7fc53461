"""JSON answers that can carry any text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def reply(status: int, content: Any, headers: dict[str, str] | None = None) -> Response:
    """`content` as JSON. Only ASCII, so that a lone surrogate from a client cannot break the answer."""
    return Response(json.dumps(content), status_code=status, headers=headers, media_type="application/json")


def problem(status: int, detail: str, **more: Any) -> Response:
    """An error, in the one shape that all errors have."""
    return reply(status, {"detail": detail, **more})


# Schemas, not models: a model for each answer of each route would have to be built at every boot.
PROBLEM = {
    "type": "object",
    "properties": {"detail": {"type": "string"}, "trace_id": {"type": "string"}},
    "required": ["detail"],
    "additionalProperties": False,
}


def documented(status: int, schema: Mapping[str, Any], description: str = "Done.") -> dict[int | str, dict[str, Any]]:
    """An answer for the OpenAPI description of a route."""
    return {status: {"description": description, "content": {"application/json": {"schema": schema}}}}


def refusals(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its OpenAPI description."""
    documents: dict[int | str, dict[str, Any]] = {}
    for status, description in descriptions.items():
        documents |= documented(status, PROBLEM, description)
    return documents
