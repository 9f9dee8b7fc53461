"""Types of request fields that several services share. Strict: a number in quotes is not a number."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_NOTE_CHARACTERS = 1 << 20


def _whole(value: object) -> object:
    """Accept 5.0 as 5: in JSON they are the same number, and JSON Schema calls both an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
Note = Annotated[str, Field(max_length=MAX_NOTE_CHARACTERS, description="Free text, not interpreted.")]
Cents = Annotated[int, Field(ge=0, le=100_000_000), WHOLE]
Quantity = Annotated[int, Field(ge=1, le=20), WHOLE]
ProductId = Annotated[int, Field(ge=1, le=2_000_000_000), WHOLE]
Username = Annotated[str, Field(min_length=1, max_length=64)]
StoreId = Annotated[int, Query(ge=1, le=1_000_000, description="Which storefront.")]
IdempotencyKey = Annotated[
    str,
    Header(
        min_length=1,
        max_length=128,
        description="Requests with the same key are worked on once and get the same answer.",
    ),
]


class Body(BaseModel):
    """A request body with exactly the described fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Line(Body):
    """One line of a basket."""

    product_id: ProductId
    quantity: Quantity
