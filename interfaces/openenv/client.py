"""The client: an episode on a server, over one WebSocket."""

from __future__ import annotations

from typing import Any

# openenv ships no types.
from openenv.core import EnvClient  # type: ignore[import-untyped]
from openenv.core.client_types import StepResult  # type: ignore[import-untyped]

from mirr.interfaces.openenv.models import MirrAction, MirrObservation, MirrState

RESET_TIMEOUT_S = 180.0
"""How long to wait for an answer. A reset of real containers waits for steady state, which can take longer than
OpenEnv's default of a minute."""


class MirrEnv(EnvClient):  # type: ignore[misc]  # EnvClient is Any: openenv ships no types
    """A client of the server at `base_url`. `reset` takes a `seed`, or a `split` and an `index` of the task API."""

    def __init__(self, base_url: str | None = None, *, message_timeout_s: float = RESET_TIMEOUT_S, **options: Any):
        super().__init__(base_url, message_timeout_s=message_timeout_s, **options)

    def _step_payload(self, action: MirrAction) -> dict[str, Any]:
        return {"action": action.action}

    def _parse_result(self, payload: dict[str, Any]) -> Any:  # a StepResult[MirrObservation]
        ended = {"reward": payload.get("reward"), "done": payload.get("done", False)}
        observation = MirrObservation.model_validate(payload["observation"] | ended)
        return StepResult(observation=observation, reward=ended["reward"], done=ended["done"])

    def _parse_state(self, payload: dict[str, Any]) -> MirrState:
        state: MirrState = MirrState.model_validate(payload)
        return state
