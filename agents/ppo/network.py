"""The network of the trained policy, computed with numpy: notes in, one number for each action out.

All services go through the same weights. What is seen at each is then looked at together, because a service may only
suffer from another one. The answer has eight numbers for each service: read its log, four diagnoses, three fixes. Two
more belong to no service: wait, and say that nothing is broken. `agents/training/ppo_network.py` has the same network
for PyTorch. A test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from mirr.agents.ppo.notes import CHOICES, OWN, SERVICES, SHARED, Floats
from mirr.env.vocabulary import (
    ACTION_INDEX,
    CheckLogs,
    Diagnose,
    DiagnoseNone,
    FaultMode,
    Restart,
    Rollback,
    ScaleUp,
    Service,
    Wait,
)

ANSWERS: Final = 8  # for each service
WHOLE_ANSWERS: Final = 2


def _order() -> list[int]:
    """For each action, its place among the answers: those of the services one after the other, then the other two."""
    order = [0] * CHOICES
    for row, service in enumerate(Service):
        actions = (
            CheckLogs(service),
            *(Diagnose(service, mode) for mode in FaultMode),
            *(kind(service) for kind in (Restart, Rollback, ScaleUp)),
        )
        for place, action in enumerate(actions):
            order[ACTION_INDEX[action]] = row * ANSWERS + place
    order[ACTION_INDEX[Wait()]] = SERVICES * ANSWERS
    order[ACTION_INDEX[DiagnoseNone()]] = SERVICES * ANSWERS + 1
    return order


ORDER: Final = _order()


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the network is."""

    width: int = 96  # numbers for each service
    together: int = 128  # numbers for all of them

    def to_json(self) -> dict[str, int]:
        """As a checkpoint has it."""
        return asdict(self)


def weight_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """The name and the shape of each weight."""
    width, together = size.width, size.together
    return {
        "look_own": (width, OWN),
        "look_shared": (width, SHARED),
        "look_offset": (width,),
        "together": (together, SERVICES * width),
        "together_offset": (together,),
        "think_own": (width, width),
        "think_together": (width, together),
        "think_offset": (width,),
        "answer": (ANSWERS, width),
        "answer_offset": (ANSWERS,),
        "whole_own": (WHOLE_ANSWERS, width),
        "whole_together": (WHOLE_ANSWERS, together),
        "whole_offset": (WHOLE_ANSWERS,),
    }


def scores(weights: Mapping[str, Floats], own: Floats, shared: Floats) -> Floats:  # (n, actions)
    """How much the network favours each action, as logits. `own` is (n, services, OWN), `shared` is (n, SHARED)."""
    w = weights
    seen = _positive(own @ w["look_own"].T + (shared @ w["look_shared"].T + w["look_offset"])[:, None])
    together = _positive(seen.reshape(len(seen), -1) @ w["together"].T + w["together_offset"])
    thought = _positive(seen @ w["think_own"].T + (together @ w["think_together"].T + w["think_offset"])[:, None])
    each = thought @ w["answer"].T + w["answer_offset"]
    whole = thought.mean(axis=1) @ w["whole_own"].T + together @ w["whole_together"].T + w["whole_offset"]
    found: Floats = np.concatenate([each.reshape(len(each), -1), whole], axis=1)[:, ORDER]
    return found


def _positive(x: Floats) -> Floats:
    return np.maximum(x, np.float32(0.0))
