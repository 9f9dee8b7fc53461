"""Answers kept in the database by idempotency key, so that the same order or charge is made only once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException

KEPT_ROWS = 2_000


class KeptAnswers:
    """A table with the columns `number`, `idempotency_key`, `request` and `answer`. Only the last rows are kept."""

    def __init__(self, table: str, *, kept_rows: int = KEPT_ROWS) -> None:
        self._table = table
        self._kept_rows = kept_rows

    def find(self, database: sqlite3.Connection, key: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer given for this key, or None. Answers 422 if the key came with a different request."""
        query = f"SELECT request, answer FROM {self._table} WHERE idempotency_key = ?"
        row = database.execute(query, (key,)).fetchone()
        if row is None:
            return None
        if row["request"] != fingerprint(request):
            raise HTTPException(422, "this Idempotency-Key came with another request before")
        answer: dict[str, Any] = json.loads(row["answer"])
        return answer

    def last(self, database: sqlite3.Connection, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The keys and answers of the last `count` rows, the newest first."""
        query = f"SELECT idempotency_key, answer FROM {self._table} ORDER BY number DESC LIMIT ?"
        return [(row["idempotency_key"], json.loads(row["answer"])) for row in database.execute(query, (count,))]

    def keep(
        self, database: sqlite3.Connection, key: str, request: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> int:
        """Keep the answer, remove old rows, and return the row's number."""
        insert = f"INSERT INTO {self._table} (idempotency_key, request, answer) VALUES (?, ?, ?)"
        number = database.execute(insert, (key, fingerprint(request), json.dumps(answer))).lastrowid
        assert number is not None
        database.execute(f"DELETE FROM {self._table} WHERE number <= ?", (number - self._kept_rows,))
        return number


def fingerprint(request: Mapping[str, Any]) -> str:
    """A hash by which two requests are compared."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
