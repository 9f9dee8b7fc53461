"""The accounts of the shop's staff. Their passwords open more than a customer's, so their hashes have more rounds."""

from __future__ import annotations

STAFF = 8
STAFF_PREFIX = "staff-"
STAFF_ITERATIONS = 210_000  # iterations of PBKDF2


def staff_names() -> list[str]:
    """staff-0 with password staff-0-secret, and so on."""
    return [f"{STAFF_PREFIX}{number}" for number in range(STAFF)]
