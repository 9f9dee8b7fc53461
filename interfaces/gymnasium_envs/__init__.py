"""Gymnasium environments: `mirr/Sim-v0`, `mirr/Sim-v1` and `mirr/SimHard-v1`, the simulator, and `mirr/Lab-v0`,
`mirr/Lab-v1` and `mirr/LabHard-v1`, a lab of real containers. `v0` is the base task. `v1` is the tier `medium`, and
`hard` where the name says so, with what logs tell in the observation.

Importing this registers them: `gymnasium.make("mirr:mirr/Sim-v0")` imports it by itself.
"""

from __future__ import annotations

from typing import Any

import gymnasium

from mirr.env.vocabulary import Tier

SIM_ID = "mirr/Sim-v0"
LAB_ID = "mirr/Lab-v0"
MEDIUM_SIM_ID = "mirr/Sim-v1"
MEDIUM_LAB_ID = "mirr/Lab-v1"
HARD_SIM_ID = "mirr/SimHard-v1"
HARD_LAB_ID = "mirr/LabHard-v1"

_ROOM = "mirr.interfaces.gymnasium_envs"
_SIM = {"entry_point": f"{_ROOM}.single:sim_env", "vector_entry_point": f"{_ROOM}.vector:SimVectorEnv"}
# A seed is the same incident in both worlds. Only the simulator also gives the same measurements.
_LAB = {"entry_point": f"{_ROOM}.single:lab_env", "nondeterministic": True}
_MEDIUM = {"kwargs": {"tier": Tier.MEDIUM.value, "logs": True}}
_HARD = {"kwargs": {"tier": Tier.HARD.value, "logs": True}}

_IDS: dict[str, dict[str, Any]] = {
    SIM_ID: _SIM,
    LAB_ID: _LAB,
    MEDIUM_SIM_ID: _SIM | _MEDIUM,
    MEDIUM_LAB_ID: _LAB | _MEDIUM,
    HARD_SIM_ID: _SIM | _HARD,
    HARD_LAB_ID: _LAB | _HARD,
}


def register() -> None:
    """Register all of them with Gymnasium. Safe to call twice."""
    for name, how in _IDS.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, **how)
            if name in (MEDIUM_SIM_ID, MEDIUM_LAB_ID):
                # v1 is no successor of v0. Else Gymnasium would warn whoever makes v0 that it is out of date.
                gymnasium.registry[name].version = None


register()
