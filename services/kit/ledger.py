"""The last answer each client got, kept so that a client that retries gets it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request that was answered, as it came and as it went."""

    method: str
    path: str
    idempotency_key: bytes
    authorization: bytes
    body: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes


class Ledger:
    """The last answer per client, by its Client-Key: a client has one request open at a time, so one is enough."""

    def __init__(self) -> None:
        self._last: dict[str, Answer] = {}

    def __len__(self) -> int:
        return len(self._last)

    def find(
        self, client_key: str, method: str, path: str, idempotency_key: bytes, authorization: bytes, body: bytes
    ) -> Answer | None:
        """The answer to replay, where this is the client's last request over again, with the same rights."""
        last = self._last.get(client_key)
        if last is None or (last.method, last.path, last.idempotency_key) != (method, path, idempotency_key):
            return None
        return last if last.authorization == authorization and last.body == body else None

    def keep(self, client_key: str, answer: Answer) -> None:
        """Remember `answer` as the client's last."""
        self._last[client_key] = answer
