"""A common trainer can learn on the environment. It runs for a short time, so a small improvement is enough."""

from __future__ import annotations

import gymnasium
import pytest

from mirr.interfaces.gymnasium_envs import SIM_ID
from mirr.interfaces.gymnasium_envs.wrappers import FlatObservation

pytestmark = pytest.mark.thorough

ENVS = 32
STEPS = 64
ROLLOUTS = 6


def test_ppo_of_stable_baselines3_starts_and_improves() -> None:
    # They take seconds to import, so only the process that runs this test imports them.
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class MeanRewards(BaseCallback):
        """Collects the mean reward of the last 100 episodes at the end of each rollout."""

        def __init__(self) -> None:
            super().__init__()
            self.found: list[float] = []

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            buffer = self.model.ep_info_buffer
            assert buffer
            self.found.append(sum(episode["r"] for episode in buffer) / len(buffer))

    torch.set_num_threads(1)
    envs = make_vec_env(lambda: FlatObservation(gymnasium.make(SIM_ID)), n_envs=ENVS, seed=0)
    rewards = MeanRewards()
    trainer = PPO(
        "MlpPolicy", envs, n_steps=STEPS, batch_size=256, n_epochs=4, learning_rate=3e-3, seed=0, device="cpu"
    )
    trainer.learn(ENVS * STEPS * ROLLOUTS, callback=rewards)
    assert len(rewards.found) == ROLLOUTS
    assert rewards.found[-1] > rewards.found[0] + 3.0
