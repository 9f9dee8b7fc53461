"""Makes good and bad requests from a service's own description, and compares each answer with that description.

Schemathesis takes seconds to import, so only a process that fuzzes imports it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import HealthCheck, Phase

if TYPE_CHECKING:
    from schemathesis import Case, GenerationMode
    from schemathesis.schemas import BaseSchema

SEED = 7
# A service correctly refuses a key of an earlier request, even if both requests match the description.
IDEMPOTENCY_KEY = "Idempotency-Key"
LEAKS = ("Traceback (most recent call last)", 'File "/', "sqlite3.", "\\nTypeError")

Send = Callable[["Case[Any]"], Any]  # sends a case to the service and returns schemathesis' response


def fuzz(schema: BaseSchema, *, examples: int, send: Send = lambda case: case.call()) -> int:
    """Send `examples` good and as many bad requests to each operation. Returns the number of requests sent.

    Raises an error if an answer has a 5xx status, or a status, type or shape that is not in the description. Raises an
    error too if the service accepts a bad request, refuses a good one, or shows its internals.
    """
    from schemathesis import GenerationMode
    from schemathesis.core.result import Ok

    sent = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            sent += _fuzz(operation.as_strategy(generation_mode=mode), examples, send, mode)
    return sent


def _fuzz(cases: Any, examples: int, send: Send, mode: GenerationMode) -> int:
    from schemathesis import GenerationMode

    sent = 0

    # No shrinking and no database: each run sends the same requests and takes the same time.
    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=tuple(HealthCheck),
    )
    @hypothesis.given(cases)
    def run(case: Case[Any]) -> None:
        nonlocal sent
        sent += 1
        if mode is GenerationMode.POSITIVE and case.headers and IDEMPOTENCY_KEY in case.headers:
            # Not seeded: a running service remembers the keys of earlier runs, and orders passes keys on.
            case.headers[IDEMPOTENCY_KEY] = os.urandom(8).hex()
        response = send(case)
        case.validate_response(response)
        assert not [leak for leak in LEAKS if leak in response.text], response.text

    run()
    return sent


def from_app(app: Any) -> BaseSchema:
    """The description of an ASGI application that is called in this process."""
    import schemathesis

    return schemathesis.openapi.from_asgi("/openapi.json", app)


def from_address(url: str) -> BaseSchema:
    """The description of a running service."""
    import schemathesis

    return schemathesis.openapi.from_url(f"{url}/openapi.json")
