"""Conversions in batches: each boot converts a part of what is left, so no boot waits for a whole table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from services.data.share import SHARE

Row = TypeVar("Row")


def next_batch(pending: Sequence[Row], share: float = SHARE) -> list[Row]:
    """Rows from everywhere in the table. The first one is among them, so a conversion comes to an end."""
    return [row for place, row in enumerate(pending) if math.ceil((place + 1) * share) > math.ceil(place * share)]
