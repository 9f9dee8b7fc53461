"""The client checks an answer's schema, and the answer against it, at every call. Here each schema is checked once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def schemas_are_checked_once() -> Iterator[None]:
    """To check a schema takes fifty times as long as to check an answer. Every answer is still checked."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # jsonschema ships no types

    check = Draft202012Validator.check_schema
    checked: set[str] = set()

    def once(schema: Any, *more: Any, **options: Any) -> None:
        text = json.dumps(schema, sort_keys=True)
        if text not in checked:
            check(schema, *more, **options)
            checked.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", once)
        yield
