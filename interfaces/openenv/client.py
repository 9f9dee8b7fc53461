"""The client: an episode on a server, over one WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any

# openenv ships no types.
from openenv.core import EnvClient  # type: ignore[import-untyped]
from openenv.core.client_types import StepResult  # type: ignore[import-untyped]

from mirr.interfaces.openenv.models import MirrAction, MirrObservation, MirrState

PING_EVERY_S = 20.0
"""Pings keep the connection alive. Nobody waits for their answers, because a client whose event loop is busy (a model
generates text) sees them late."""

RESET_TIMEOUT_S = 180.0
"""How long to wait for an answer. A reset of real containers waits for steady state, which can take longer than
OpenEnv's default of a minute."""


class MirrEnv(EnvClient):  # type: ignore[misc]  # EnvClient is Any: openenv ships no types
    """A client of the server at `base_url`. `reset` takes a `seed` and a `tier`, or a `split` and an `index` of the
    task API.

    Calls at the same time, from several tasks or threads, run one after the other: each gets its own answer."""

    _ws: Any  # OpenEnv's connection, and its event loop; None while there is none
    _ws_loop: Any

    def __init__(
        self,
        base_url: str | None = None,
        *,
        message_timeout_s: float = RESET_TIMEOUT_S,
        websocket_ping_interval_s: float | None = PING_EVERY_S,
        websocket_ping_timeout_s: float | None = None,
        **options: Any,
    ):
        super().__init__(
            base_url,
            message_timeout_s=message_timeout_s,
            websocket_ping_interval_s=websocket_ping_interval_s,
            websocket_ping_timeout_s=websocket_ping_timeout_s,
            **options,
        )
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def _send_and_receive(self, message: dict[str, Any]) -> Any:  # an answer as JSON
        async with self._own_turn():
            try:
                return await super()._send_and_receive(message)
            except asyncio.CancelledError:
                self._forget_connection()
                raise

    def _own_turn(self) -> asyncio.Lock:
        # A lock belongs to one event loop, but a client may be used from another one later.
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        return self._turn[1]

    def _forget_connection(self) -> None:
        """The message may be on its way. Its answer must not be taken for that of the next message."""
        if self._ws is not None:
            lost, self._ws, self._ws_loop = self._ws, None, None
            self._schedule_socket_close(lost)

    def _step_payload(self, action: MirrAction) -> dict[str, Any]:
        return {"action": action.action}

    def _parse_result(self, payload: dict[str, Any]) -> Any:  # a StepResult[MirrObservation]
        ended = {"reward": payload.get("reward"), "done": payload.get("done", False)}
        observation = MirrObservation.model_validate(payload["observation"] | ended)
        return StepResult(observation=observation, reward=ended["reward"], done=ended["done"])

    def _parse_state(self, payload: dict[str, Any]) -> MirrState:
        state: MirrState = MirrState.model_validate(payload)
        return state
