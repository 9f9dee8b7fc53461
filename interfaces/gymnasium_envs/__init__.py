"""Gymnasium environments: `mirr/Sim-v0`, the simulator, and `mirr/Lab-v0`, a lab of real containers.

Importing this registers both: `gymnasium.make("mirr:mirr/Sim-v0")` imports it by itself.
"""

from __future__ import annotations

import gymnasium

SIM_ID = "mirr/Sim-v0"
LAB_ID = "mirr/Lab-v0"


def register() -> None:
    """Register both with Gymnasium. Safe to call twice."""
    for name, entry, vector in (
        (SIM_ID, "mirr.interfaces.gymnasium_envs.single:sim_env", "mirr.interfaces.gymnasium_envs.vector:SimVectorEnv"),
        (LAB_ID, "mirr.interfaces.gymnasium_envs.single:lab_env", None),
    ):
        if name not in gymnasium.registry:
            # A seed is the same incident in both. Only the simulator also gives the same measurements.
            gymnasium.register(name, entry, vector_entry_point=vector, nondeterministic=name == LAB_ID)


register()
