"""Thousands of simulated environments as one Gymnasium vector environment, played by the batched simulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mirr.env.actions import action_numbers
from mirr.env.checks import as_array
from mirr.env.environment import EpisodeReport, Observation
from mirr.env.quoting import quoted
from mirr.env.rendering import render
from mirr.env.scenario import EpisodeConfig, checked_seed
from mirr.env.simulator.batch import Autoreset, BatchedSimulator
from mirr.env.simulator.fast import rows as k
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import Randomisation
from mirr.env.vocabulary import Tier
from mirr.interfaces.gymnasium_envs import spaces
from mirr.interfaces.gymnasium_envs.picture import picture
from mirr.interfaces.gymnasium_envs.single import (
    SEEDS,
    checked_options,
    checked_render_mode,
    named_faults,
    parameter_sets,
)

_AUTORESET = {
    AutoresetMode.NEXT_STEP: Autoreset.NEXT_STEP,
    AutoresetMode.SAME_STEP: Autoreset.SAME_STEP,
    AutoresetMode.DISABLED: Autoreset.DISABLED,
}

Actions = NDArray[np.int64]


class SimVectorEnv(VectorEnv[spaces.Seen, Actions, NDArray[Any]]):
    """The same as `num_envs` times `mirr/Sim-v0`, `mirr/Sim-v1` or `mirr/SimHard-v1`, bit for bit. Each call returns
    new arrays."""

    metadata = {  # noqa: RUF012 - Gymnasium's own is not a ClassVar
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        config: EpisodeConfig | None = None,
        parameters: Parameters | None = None,
        randomisation: Randomisation | dict[str, Any] | None = None,
        threads: int = 1,
        render_mode: str | None = None,
        tier: Tier = Tier.EASY,
        logs: bool = False,
    ) -> None:
        mode = AutoresetMode(autoreset_mode)
        checked_render_mode(render_mode)
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.batch = BatchedSimulator(
            num_envs,
            config=config,
            parameters=parameter_sets(parameters, randomisation),
            autoreset=_AUTORESET[mode],
            threads=threads,
            tier=tier,
        )
        self._logs = logs
        choices = self.batch.choices
        self.single_action_space = spaces.action_space(choices)
        self.single_observation_space = spaces.observation_space(self.batch.config.max_steps, choices, logs=logs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._mode = mode
        self._mask = spaces.fresh_mask(num_envs, choices)
        self._started = False

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[spaces.Seen, dict[str, Any]]:
        """Begin episodes in all environments, or in those of `options["reset_mask"]`. With seed n, environment i gets
        seed n + i. `options["fault"]` replaces the drawn faults until the next reset: one for all, or a sequence."""
        # All is checked first, so that a refused reset changes nothing.
        options = checked_options(options, ("fault", "reset_mask"))
        mask = _checked_mask(options.get("reset_mask"), self.num_envs)
        faults = named_faults(options.get("fault"))
        first = None if seed is None or _are_several(seed) else checked_seed(seed)
        super().reset(seed=first)
        seeds: Any = seed
        if first is not None:
            seeds = range(first, first + self.num_envs)
        elif seed is None and not self._started:
            seeds = self.np_random.integers(SEEDS, size=self.num_envs).tolist()
        self.batch.reset(seeds, faults=faults, mask=mask)
        self._started = True
        chosen = np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask
        self._mask[chosen] = 1
        return self._observations(), self._infos(chosen)

    def step(self, actions: Actions) -> tuple[spaces.Seen, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Play one step in every environment."""
        if not self._started:
            raise ResetNeeded("no episode is running; call reset() first")
        self._refuse_where_a_reset_is_due()
        resetting = self.batch.over.copy()  # their action is ignored
        _, rewards, terminated, truncated = self.batch.step(actions)
        taken = action_numbers(actions, self.num_envs)
        done = terminated | truncated
        infos: dict[str, Any] = {}
        if done.any():
            infos = self._end_infos(done, taken)
        begun = resetting | done if self._mode is AutoresetMode.SAME_STEP else resetting
        accepted = self.batch.column(k.RESULT) == k.ACCEPTED
        spaces.narrow_mask(self._mask, taken, accepted)
        self._mask[begun] = 1
        infos.update(self._infos(np.ones(self.num_envs, dtype=np.bool_)))
        return self._observations(), rewards.copy(), terminated.copy(), truncated.copy(), infos

    def _refuse_where_a_reset_is_due(self) -> None:
        """The batch refuses this too, but its advice is for callers of the batch."""
        due = ~self.batch.begun
        if self._mode is AutoresetMode.DISABLED:
            due |= self.batch.over
        if due.any():
            e = int(np.flatnonzero(due)[0])
            state = "is over" if self.batch.begun[e] else "has not begun"
            raise ResetNeeded(
                f"the episode of environment {e} {state}; call reset(options={{'reset_mask': ...}}) or reset() first"
            )

    def action_masks(self) -> NDArray[np.bool_]:  # (num_envs, actions)
        """The same as `info["action_mask"]`, where sb3-contrib's MaskablePPO looks for it."""
        return self._mask.astype(np.bool_)

    def observation(self, e: int) -> Observation:
        """All that the agent of environment `e` can read now, with log lines and result texts."""
        return self.batch.observation(e)

    def report(self, e: int) -> EpisodeReport:
        """The truth about the last episode of environment `e` that is over."""
        return self.batch.report(e)

    def render(self) -> tuple[Any, ...] | None:
        """Each environment's last observation, as text tables or as pictures."""
        if self.render_mode is None:
            return None
        draw = render if self.render_mode == "ansi" else picture
        return tuple(draw(self.batch.observation(e)) for e in range(self.num_envs))

    def _observations(self) -> spaces.Seen:
        return self._seen(self.batch.features, ended=False)

    def _seen(self, features: NDArray[np.float32], *, ended: bool) -> spaces.Seen:
        values, known = spaces.seen_features(features)
        actions = self.batch.column(k.ACTION, ended=ended).astype(np.int64)
        told = {"logs": self.batch.logged(ended=ended)} if self._logs else {}
        return {
            "features": values,
            "seen": known,
            "step": self.batch.column(k.STEP, ended=ended).astype(np.int64),
            "last_action": np.where(actions < 0, self.batch.choices, actions),
            "last_accepted": (self.batch.column(k.RESULT, ended=ended) == k.ACCEPTED).astype(np.int64),
            **told,
        }

    def _infos(self, present: NDArray[np.bool_]) -> dict[str, Any]:
        zeros = np.zeros(self.num_envs)
        found = {
            "step": self.batch.column(k.STEP).astype(np.int64) * present,
            "overrun_s": zeros,
            "action_mask": self._mask * present[:, None].astype(np.int8),
        }
        return _masked(found, present)

    def _end_infos(self, done: NDArray[np.bool_], actions: Actions) -> dict[str, Any]:
        """The info entries at the end of an episode. They are the final info if the next episode has begun."""

        def of(place: int) -> NDArray[np.float64]:
            return np.where(done, self.batch.column(place, ended=True), 0.0)

        outcome = of(k.OUTCOME)
        found = {
            "resolved": outcome == k.RESOLVED,
            "collapsed": outcome == k.COLLAPSED,
            "clean": self.batch.clean & done,
            "diagnosis_correct": of(k.DIAGNOSED) == 1.0,
            "total_reward": of(k.REWARD),
            "steps": of(k.STEP).astype(np.int64),
            "failed_requests": of(k.FAILED_REQUESTS).astype(np.int64),
        }
        if self._mode is not AutoresetMode.SAME_STEP:
            return _masked(found, done)
        final = self._seen(self.batch.final_features, ended=True)
        observations = np.full(self.num_envs, None, dtype=object)
        for e in np.flatnonzero(done):
            observations[e] = {name: values[e].copy() for name, values in final.items()}
        mask = self._mask.copy()
        accepted = self.batch.column(k.RESULT, ended=True) == k.ACCEPTED
        ended = np.flatnonzero(done)
        narrowed = mask[ended]
        spaces.narrow_mask(narrowed, actions[ended], accepted[ended])
        mask[:] = 0
        mask[ended] = narrowed
        found |= {"step": found["steps"], "overrun_s": np.zeros(self.num_envs), "action_mask": mask}
        return _masked({"final_obs": observations, "final_info": _masked(found, done)}, done)


def _masked(found: dict[str, Any], present: NDArray[np.bool_]) -> dict[str, Any]:
    """Add to each value a mask of the environments that have it, as Gymnasium's vector environments do."""
    return found | {f"_{name}": present.copy() for name in found}


def _are_several(seed: object) -> bool:
    """Whether `seed` is a sequence of seeds, and not a single one in whatever form."""
    array = as_array(seed)
    return array is None or array.ndim > 0


def _checked_mask(mask: object, size: int) -> NDArray[np.bool_] | None:
    """`options["reset_mask"]` as an array; a tensor is welcome."""
    if mask is None:
        return None
    array = None if isinstance(mask, list | tuple) else as_array(mask)
    if array is None or array.dtype != np.bool_ or array.shape != (size,) or not array.any():
        raise ValueError(
            f"options['reset_mask'] is an array of {size} bools, at least one of them true; got {quoted(mask)}"
        )
    return array.astype(np.bool_)
