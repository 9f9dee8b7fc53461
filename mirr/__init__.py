"""MIRR Lab: one incident, two worlds, one score. This module has the public names. Everything else is internal.

```python
import mirr

environment = mirr.Environment(mirr.SimulatedWorld())
observation, info = environment.reset(seed=7)
observation, reward, terminated, truncated, info = environment.step(mirr.parse_action("check_logs(auth)"))
```

The rooms of the package (`mirr.env`, `mirr.chaos`, `mirr.bridge`, ...) are the folders at the top of the repository.
In a checkout this folder links to them. A wheel holds them as real folders.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mirr._registration import register_with_gymnasium

if TYPE_CHECKING:
    from mirr.bridge.docker_world import DockerWorld

    # `X as X` marks a name as public for type checkers.
    from mirr.chaos.errors import ChaosError as ChaosError
    from mirr.env.environment import Environment as Environment
    from mirr.env.environment import EpisodeError as EpisodeError
    from mirr.env.record import RecordError as RecordError
    from mirr.env.scenario import BadScenario as BadScenario
    from mirr.env.scenario import EpisodeConfig as EpisodeConfig
    from mirr.env.simulator.batch import BatchedSimulator as BatchedSimulator
    from mirr.env.simulator.parameters import ParameterError as ParameterError
    from mirr.env.simulator.world import SimulatedWorld as SimulatedWorld
    from mirr.env.vocabulary import BadSeverity as BadSeverity
    from mirr.env.vocabulary import Fault as Fault
    from mirr.env.vocabulary import UnknownName as UnknownName
    from mirr.env.vocabulary import parse_action as parse_action
    from mirr.env.world import WorldError as WorldError
    from mirr.lab.errors import LabError as LabError

__version__ = "0.1.0"

_HOME = {
    "BatchedSimulator": "mirr.env.simulator.batch",
    "Environment": "mirr.env.environment",
    "EpisodeConfig": "mirr.env.scenario",
    "Fault": "mirr.env.vocabulary",
    "SimulatedWorld": "mirr.env.simulator.world",
    "parse_action": "mirr.env.vocabulary",
    # The errors: one error for each decision that a caller can make.
    "BadScenario": "mirr.env.scenario",
    "BadSeverity": "mirr.env.vocabulary",
    "ChaosError": "mirr.chaos.errors",
    "EpisodeError": "mirr.env.environment",
    "LabError": "mirr.lab.errors",
    "ParameterError": "mirr.env.simulator.parameters",
    "RecordError": "mirr.env.record",
    "UnknownName": "mirr.env.vocabulary",
    "WorldError": "mirr.env.world",
}
"""The module that defines each public name. It is imported at the first use, so that `import mirr` stays quick."""

__all__ = [
    "BadScenario",
    "BadSeverity",
    "BatchedSimulator",
    "ChaosError",
    "Environment",
    "EpisodeConfig",
    "EpisodeError",
    "Fault",
    "LabError",
    "ParameterError",
    "RecordError",
    "SimulatedWorld",
    "UnknownName",
    "WorldError",
    "__version__",
    "open_lab",
    "parse_action",
]


def open_lab(lab: str = "mirr") -> DockerWorld:
    """The lab of that name as a World, for `Environment`. The lab must be up (`mirr up`).

    No other command can use the lab until the world is closed: `with contextlib.closing(mirr.open_lab()) as world`.

    Raises:
        LabError: no Docker engine answers, the lab is not up, or another command works on it.
    """
    from mirr.bridge.assembly import open_docker_world

    return open_docker_world(lab, what="mirr.open_lab")


if not TYPE_CHECKING:  # if a type checker saw this, it would accept any name

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'mirr' has no attribute {name!r}; it has: {', '.join(__all__)}")
        value = vars(import_module(_HOME[name]))[name]
        globals()[name] = value  # so that the next use finds it directly
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_gymnasium()
