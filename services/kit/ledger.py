"""The last answer that each client got. A client that tries again gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request with the answer that was sent."""

    method: str
    path: str
    idempotency_key: bytes
    authorization: bytes
    body: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes


class Ledger:
    """The last answer for each Client-Key. A client has one request open at a time, so one answer is enough."""

    def __init__(self) -> None:
        self._last: dict[str, Answer] = {}

    def __len__(self) -> int:
        return len(self._last)

    def find(
        self, client_key: str, method: str, path: str, idempotency_key: bytes, authorization: bytes, body: bytes
    ) -> Answer | None:
        """The answer to replay, if the client sends its last request again with the same authorization; else None."""
        last = self._last.get(client_key)
        if last is None or (last.method, last.path, last.idempotency_key) != (method, path, idempotency_key):
            return None
        return last if last.authorization == authorization and last.body == body else None

    def keep(self, client_key: str, answer: Answer) -> None:
        """Keep `answer` as the client's last one."""
        self._last[client_key] = answer
