"""Gymnasium environments: `mirr/Sim-v0` and `mirr/Sim-v1`, the simulator, and `mirr/Lab-v0` and `mirr/Lab-v1`, a lab of
real containers. `v0` is the base task. `v1` is the tier `medium`, with what logs tell in the observation.

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

_ROOM = "mirr.interfaces.gymnasium_envs"
_SIM = {"entry_point": f"{_ROOM}.single:sim_env", "vector_entry_point": f"{_ROOM}.vector:SimVectorEnv"}
# A seed is the same incident in both worlds. Only the simulator also gives the same measurements.
_LAB = {"entry_point": f"{_ROOM}.single:lab_env", "nondeterministic": True}
_MEDIUM = {"kwargs": {"tier": Tier.MEDIUM.value, "logs": True}}

_IDS: dict[str, dict[str, Any]] = {
    SIM_ID: _SIM,
    LAB_ID: _LAB,
    MEDIUM_SIM_ID: _SIM | _MEDIUM,
    MEDIUM_LAB_ID: _LAB | _MEDIUM,
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
