"""One Gymnasium environment, for either world."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mirr.env.dice import following_seed
from mirr.env.environment import Environment, EpisodeReport, Observation
from mirr.env.logs import LogBook
from mirr.env.quoting import quoted
from mirr.env.rendering import History, render
from mirr.env.reward import Outcome
from mirr.env.scenario import EpisodeConfig, checked_config, checked_seed
from mirr.env.simulator.parameters import Parameters
from mirr.env.simulator.randomisation import ParameterSets, Randomisation, fixed_parameters
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import ACTION_INDEX, Fault, Tier, parse_tier
from mirr.env.world import World
from mirr.interfaces.gymnasium_envs import spaces
from mirr.interfaces.gymnasium_envs.picture import picture

SEEDS = 2**63  # drawn seeds are below this

OpenWorld = Callable[[], World]


class EpisodeEnv(gymnasium.Env[spaces.Seen, Any]):
    """`reset(seed=n)` plays the incident of seed n, as `mirr episode --seed n` does. Without a seed it plays the next
    one. `options={"fault": "bad_deploy:payments"}` replaces the drawn fault."""

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 2}  # noqa: RUF012 - Gymnasium's own is not a ClassVar

    def __init__(
        self,
        open_world: OpenWorld,
        config: EpisodeConfig | None = None,
        render_mode: str | None = None,
        tier: Tier = Tier.EASY,
        *,
        logs: bool = False,
    ) -> None:
        self.render_mode = checked_render_mode(render_mode)
        self._tier = parse_tier(tier)
        self._logs = logs
        self._book = LogBook()
        self._history = History()
        self._open_world = open_world
        self._environment: Environment | None = None
        self._config = checked_config(TIERS[self._tier].config if config is None else config)
        self._choices = spaces.choices_of(self._config)
        self.action_space = spaces.action_space(self._choices)
        self.observation_space = spaces.observation_space(self._config.max_steps, self._choices, logs=logs)
        self._start_seed: int | None = None
        self._number = 0
        self._mask = spaces.fresh_mask(1, self._choices)
        self.last_observation: Observation | None = None
        """What an agent can read besides the arrays: results as text and log lines."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[spaces.Seen, dict[str, Any]]:
        """Begin an episode. With real containers this takes some seconds."""
        # Both are checked first, so that a refused reset changes nothing.
        fault = chosen_fault(options)
        seed = None if seed is None else checked_seed(seed)
        super().reset(seed=seed)
        if seed is not None:
            self._start_seed, self._number = seed, 0
        elif self._start_seed is None:
            self._start_seed, self._number = int(self.np_random.integers(SEEDS)), 0
        else:
            self._number += 1
        if self._environment is None:
            self._environment = Environment(self._open_world(), self._config)
        seed = following_seed(self._start_seed, self._number)
        observation, info = self._environment.reset(seed=seed, fault=fault, tier=self._tier)
        self._mask = spaces.fresh_mask(1, self._choices)
        self._book = LogBook()
        return self._seen(observation), dict(info, action_mask=self._mask[0].copy())

    def _seen(self, observation: Observation) -> spaces.Seen:
        self.last_observation = observation
        self._book.note(observation.step, observation.logs_of, observation.logs)
        self._history.note(observation)
        told = {"logs": self._book.numbers()} if self._logs else {}
        return seen(observation, self._choices) | told

    def step(self, action: int) -> tuple[spaces.Seen, float, bool, bool, dict[str, Any]]:
        """Take the action with that number and let one step pass."""
        environment = self._environment
        if environment is None:
            raise gymnasium.error.ResetNeeded("no episode is running; call reset() first")
        observation, reward, terminated, truncated, info = environment.step(action)
        assert observation.last_action is not None
        number = ACTION_INDEX[observation.last_action]  # `action` may also be an array or a tensor
        spaces.narrow_mask(self._mask, np.array([number]), np.array([observation.last_accepted]))
        info["action_mask"] = self._mask[0].copy()
        if terminated or truncated:
            assert environment.report is not None
            info.update(end_info(environment.report))
        return self._seen(observation), reward, terminated, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:  # (actions,)
        """The same as `info["action_mask"]`, where sb3-contrib's MaskablePPO looks for it."""
        mask: NDArray[np.bool_] = self._mask[0].astype(np.bool_)
        return mask

    def render(self) -> str | NDArray[np.uint8] | None:
        """The last observation, as a text table or as a picture."""
        if self.render_mode is None or self.last_observation is None:
            return None
        return self.text() if self.render_mode == "ansi" else picture(self.last_observation)

    def text(self) -> str:
        """The last observation as text, with the last windows of each metric."""
        assert self.last_observation is not None
        return render(self.last_observation, self._history.windows)

    def close(self) -> None:
        """Close the world."""
        if self._environment is not None:
            self._environment.world.close()
            self._environment = None


def seen(observation: Observation, choices: int = spaces.CHOICES) -> spaces.Seen:
    """An observation in the form of the space."""
    features, known = spaces.seen_features(observation.features)
    action = observation.last_action
    return {
        "features": features,
        "seen": known,
        "step": np.int64(observation.step),
        "last_action": np.int64(choices if action is None else ACTION_INDEX[action]),
        "last_accepted": np.int64(observation.last_accepted),
    }


def end_info(report: EpisodeReport) -> dict[str, Any]:
    """The entries of `info` for an episode that is over, besides the whole report."""
    return {
        "resolved": report.outcome is Outcome.RESOLVED,
        "collapsed": report.outcome is Outcome.COLLAPSED,
        "clean": report.clean,
        "diagnosis_correct": report.diagnosis_correct,
        "total_reward": report.total_reward,
        "steps": report.steps,
        "failed_requests": report.harm.failed_requests,
    }


def checked_render_mode(render_mode: str | None) -> str | None:
    """How to render, or None. Raises ValueError for a way that there is not."""
    if render_mode not in (None, *EpisodeEnv.metadata["render_modes"]):
        raise ValueError(f"render_mode is ansi, rgb_array or None; got {quoted(render_mode)}")
    return render_mode


def checked_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> dict[str, Any]:
    """The options of a reset. Raises TypeError if they are no dict, and ValueError if one is unknown."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise TypeError(f"reset takes its options as a dict; got {quoted(options)}")
    if unknown := sorted(map(str, options.keys() - set(known))):
        raise ValueError(f"reset has no option {', '.join(unknown)}; it has: {', '.join(known)}")
    return dict(options)


def chosen_fault(options: dict[str, Any] | None) -> Fault | None:
    """`options["fault"]`, as text (MODE:SERVICE) or as a Fault; None if it is not given."""
    given = checked_options(options, ("fault",)).get("fault")
    return named_fault(given, "a fault, MODE:SERVICE")


def named_fault(given: object, wanted: str) -> Fault | None:
    """A fault given as text, as a 0-d array of text, or as a Fault; None for None.

    Raises TypeError, UnknownName or BadSeverity."""
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    if given is None or isinstance(given, Fault):
        return given
    if isinstance(given, str):
        return Fault.parse(given)
    raise TypeError(f"options['fault'] is {wanted}; got {quoted(given)}")


def named_faults(given: object) -> Fault | list[Fault | None] | None:
    """One fault for all, or one (or None) for each of several environments; each as `named_fault` takes it."""
    wanted = "a fault, MODE:SERVICE, or a sequence of them"
    if isinstance(given, np.ndarray) and given.ndim > 0:
        given = given.tolist()
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [named_fault(each, wanted) for each in given]
    return named_fault(given, wanted)


def sim_env(
    config: EpisodeConfig | None = None,
    parameters: Parameters | None = None,
    randomisation: Randomisation | dict[str, Any] | None = None,
    render_mode: str | None = None,
    tier: Tier = Tier.EASY,
    *,
    logs: bool = False,
) -> EpisodeEnv:
    """`mirr/Sim-v0`; with what logs tell, `mirr/Sim-v1` in the tier `medium` and `mirr/SimHard-v1` in `hard`."""
    sets = parameter_sets(parameters, randomisation) or fixed_parameters()
    if not isinstance(sets, ParameterSets):
        sets = fixed_parameters(sets)
    sets.ticks(checked_config(config).step_s)  # refused here, and not in the middle of the first reset
    return EpisodeEnv(functools.partial(SimulatedWorld, sets), config, render_mode, tier, logs=logs)


def parameter_sets(
    parameters: Parameters | None, randomisation: Randomisation | dict[str, Any] | None
) -> Parameters | ParameterSets | None:
    """The simulator's parameters, varied if `randomisation` is given. It may be in its JSON form."""
    if not isinstance(parameters, Parameters | ParameterSets | None):
        raise TypeError(f"parameters is a Parameters, as load_parameters reads one; got {quoted(parameters)}")
    if randomisation is None:
        return parameters
    if isinstance(randomisation, dict):
        randomisation = Randomisation.from_json(randomisation)
    if not isinstance(randomisation, Randomisation):
        raise TypeError(
            f"randomisation is a Randomisation, or a dict as from_json reads it; got {quoted(randomisation)}"
        )
    return randomisation.draw(parameters)


_HOLDERS: WeakValueDictionary[str, EpisodeEnv] = WeakValueDictionary()
"""For each lab, the environment of this process that holds it: the last one that began an episode there."""


class _LabEnv(EpisodeEnv):
    def __getstate__(self) -> object:
        """Refuse to be copied or pickled, in words."""
        raise TypeError(
            "mirr/Lab-v0 cannot be copied or pickled, because only one can hold a lab; make it where it plays"
        )


def lab_env(
    lab: str = "mirr",
    config: EpisodeConfig | None = None,
    render_mode: str | None = None,
    tier: Tier = Tier.EASY,
    *,
    logs: bool = False,
) -> EpisodeEnv:
    """`mirr/Lab-v0`; with what logs tell, `mirr/Lab-v1` in the tier `medium` and `mirr/LabHard-v1` in `hard`: the lab
    of that name, which has to be up. The environment holds the lab from its first reset until it is closed. Another
    environment of this process takes the lab over when it is reset. Then this one needs a reset."""

    def opened() -> World:
        from mirr.bridge.assembly import open_docker_world

        holder = _HOLDERS.pop(lab, None)
        if holder is not None:
            holder.close()
        world = open_docker_world(lab, what="a Gymnasium environment")
        _HOLDERS[lab] = env
        return world

    env = _LabEnv(opened, config, render_mode, tier, logs=logs)
    return env
