"""The results on a Ray cluster: what is played there, and how."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mirr.bridge.results.cells import Cell
from mirr.bridge.results.report import ranges
from mirr.cli.playing import Slice, play_slice
from mirr.cli.worlds import WorldName, open_world
from mirr.env.rollout import EpisodeResult
from mirr.env.world import World
from mirr.interfaces.ray_evaluation.cluster import Evaluation, Labs, connected

WHAT = "mirr results"


@dataclass(frozen=True)
class Job:
    """Some episodes of a cell. `lab` is the name of the lab on the node that plays them, if it plays on one."""

    cell: Cell
    slice: Slice
    lab: str

    def __str__(self) -> str:
        return f"{self.cell}, {ranges(scenario.seed for scenario in self.slice.scenarios)}"


def play_simulated(job: Job) -> list[EpisodeResult]:
    """Play a job on the simulator."""
    return play_slice(job.slice.player, job.lab, job.slice.scenarios, WHAT)


def play_in_lab(world: World, job: Job) -> list[EpisodeResult]:
    """Play a job in a lab that is open."""
    player = job.slice.player
    return [replace(player.play_in(world, scenario), trajectory=()) for scenario in job.slice.scenarios]


def played_on_ray(
    pool: Sequence[Job], in_labs: Sequence[Job], *, lab: str, address: str | None, say: Callable[[str], None]
) -> Generator[tuple[Job, list[EpisodeResult]], None, None]:
    """Each job with its results, as they come. Raises WorldError."""
    labs = Labs[Job, list[EpisodeResult]](open=partial(open_world, WorldName.DOCKER, lab, what=WHAT), play=play_in_lab)
    with connected(address, labs=1 if in_labs else 0):
        evaluation = Evaluation(pool=pool, play=play_simulated, in_labs=in_labs, labs=labs, say=say)
        yield from evaluation.results()
