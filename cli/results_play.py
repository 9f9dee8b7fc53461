"""Plays what the results lack, and writes every episode to its cell as soon as it is over."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from mirr.agents.registry import PolicyName
from mirr.bridge.results.cells import FOLDER, Cell, CellFile
from mirr.bridge.results.episodes import of_report
from mirr.bridge.results.records import played_in, records_in
from mirr.cli.counting import counter
from mirr.cli.playing import Player, Slice, in_processes, play_slice, say_no_processes, slices, usable_cores
from mirr.cli.results_plan import Plan
from mirr.cli.worlds import WorldName, open_world
from mirr.env.evaluation import valid
from mirr.env.record import RecordError, RolloutWriter
from mirr.env.rollout import EpisodeResult
from mirr.env.scenario import draw
from mirr.env.world import WorldError

WHAT = "mirr results"
MOST_FAILURES = 3  # episodes in a row during which the world failed
LEAST_FOR_PROCESSES = 1_000  # episodes; most agents play fewer in less time than processes take to start
MOST_CHECKED = 16  # episodes of a cell of the simulator that are played again, to see whether they still end the same


@contextmanager
def only_one_writes(results: Path) -> Iterator[None]:
    """Keeps others from writing to the folder of the results. Raises RecordError if somebody does already."""
    folder = results / FOLDER
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RecordError(
            f"another command is writing to {results}; next: wait for it, or another --out DIR"
        ) from error
    except OSError as error:
        raise RecordError(f"cannot write the results {folder}: {error.strerror}; next: another --out DIR") from error
    try:
        yield
    finally:
        lock.release()


class PlayResults:
    """Fills the cells in the folder of the results."""

    def __init__(self, results: Path, *, lab: str, commit: str, record: Path | None, cores: int | None = None) -> None:
        self._results = results
        self._lab = lab
        self._commit = commit
        self._record = record
        self._cores = usable_cores() if cores is None else cores
        self.played = 0
        """Episodes that were played until now."""

    def take(self, folder: Path) -> None:
        """Take in the recorded episodes of a folder, all or none. Raises RecordError."""
        found = [
            (path, played_in(path, worlds=tuple(WorldName), policies=tuple(PolicyName))) for path in records_in(folder)
        ]
        for path, episode in found:
            if episode is None:
                _say(f"{path} is cut off, and does not count")
                continue
            cell, played = episode
            with CellFile(cell, self._results) as file:
                earlier = file.episodes.by_seed.get(played.seed)
                if earlier is None:
                    file.add([played])
                elif earlier.source != played.source:
                    _say(f"{path} does not count: {cell} has played seed {played.seed} already")

    def play(self, plan: Plan) -> None:
        """Play what the cells of a plan lack. Raises WorldError if the world fails again and again."""
        for world in plan.worlds:
            if world is WorldName.SIM:
                self._play_simulator(plan)
            else:
                self._play_lab(plan, world)

    def play_on_ray(self, plan: Plan, address: str | None) -> None:
        """The same on a Ray cluster: that at `address`, or one that is started on this machine. Raises WorldError."""
        from mirr.cli.results_on_ray import Job, played_on_ray

        simulated = self._missing_slices(plan) if WorldName.SIM in plan.worlds else []
        on_labs = self._missing_on_lab(plan, WorldName.DOCKER) if WorldName.DOCKER in plan.worlds else []
        pool = [Job(cell, each, self._lab) for cell, each in simulated]
        in_labs = [Job(cell, each, self._lab) for cell, each in on_labs]
        of, done, void_in_a_row = sum(len(job.slice.scenarios) for job in (*pool, *in_labs)), 0, 0
        with (
            counter(WorldName.SIM, "results on Ray", of) as count,
            closing(played_on_ray(pool, in_labs, lab=self._lab, address=address, say=_say)) as all_,
        ):
            for job, results in all_:
                self._add(job.cell, results)
                done += len(results)
                count.after(results[-1], done)
                void_in_a_row = void_in_a_row + 1 if not valid(results) else 0
                _refuse_failures(results[-1], void_in_a_row)

    def forget(self, plan: Plan) -> None:
        """Forget the episodes in the cells of a plan, so that all are played anew."""
        for cell in (cell for world in plan.worlds for cell in plan.cells(world)):
            with CellFile(cell, self._results) as file:
                file.forget()

    def _play_simulator(self, plan: Plan) -> None:
        """Play slices of episodes on all cores."""
        waiting = self._missing_slices(plan)
        of, done = sum(len(each.scenarios) for _, each in waiting), 0
        with counter(WorldName.SIM, "results", of) as count, closing(self._slices([one for _, one in waiting])) as all_:
            for (cell, _), results in zip(waiting, all_, strict=True):
                self._add(cell, results)
                done += len(results)
                count.after(results[-1], done)

    def _missing_slices(self, plan: Plan) -> list[tuple[Cell, Slice]]:
        """What the simulator's cells lack."""
        waiting: list[tuple[Cell, Slice]] = []
        for cell in plan.cells(WorldName.SIM):
            player = Player(WorldName.SIM, PolicyName(cell.policy))
            with CellFile(cell, self._results) as file:
                self._forget_if_changed(cell, file, player)
                missing = [seed for seed in plan.seeds[WorldName.SIM] if seed not in file.episodes.by_seed]
            scenarios = [draw(seed, tier=cell.tier) for seed in missing]
            waiting += [(cell, each) for each in slices(player, scenarios)]
        return waiting

    def _forget_if_changed(self, cell: Cell, file: CellFile, player: Player) -> None:
        """Forget the episodes of a cell if some of them end in another way now: the agent or the simulator changed."""
        kept = file.episodes.in_order
        sample = kept[:: -(-len(kept) // MOST_CHECKED)] if kept else []
        scenarios = [draw(played.seed, tier=cell.tier) for played in sample]
        now = play_slice(player, self._lab, scenarios, WHAT) if scenarios else []
        if [of_report(result.report, played.source) for result, played in zip(now, sample, strict=True)] != sample:
            _say(f"{cell}: the episodes end in another way now, so all are played again")
            file.forget()

    def _slices(self, several: Sequence[Slice]) -> Generator[list[EpisodeResult], None, None]:
        """The results of each slice, in order. Where there can be no processes, they are played in this one."""
        from mirr.env.simulator.fast.compiled import to_be_compiled

        done = 0
        if self._cores > 1 and sum(len(each.scenarios) for each in several) >= LEAST_FOR_PROCESSES:
            # The first one is played here: if the simulator has to be compiled, that happens only once.
            yield self._play_here(several[0])
            done = 1
            try:
                if not to_be_compiled():
                    with closing(in_processes(several[done:], self._lab, WHAT, self._cores)) as played:
                        for results in played:
                            done += 1
                            yield results
            except (OSError, BrokenExecutor) as error:
                say_no_processes(error)
        for each in several[done:]:
            yield self._play_here(each)

    def _play_here(self, each: Slice) -> list[EpisodeResult]:
        return play_slice(each.player, self._lab, each.scenarios, WHAT)

    def _missing_on_lab(self, plan: Plan, world: WorldName) -> list[tuple[Cell, Slice]]:
        """What a lab's cells lack, one episode a slice: each seed with every agent, so that a run that is cut short has
        the same seeds for all."""
        played: dict[Cell, set[int]] = {}
        for cell in plan.cells(world):
            with CellFile(cell, self._results) as file:
                played[cell] = set(file.episodes.by_seed)
        return [
            (cell, Slice(Player(world, PolicyName(cell.policy)), [draw(seed, tier=tier)]))
            for tier in plan.tiers
            for seed in plan.seeds[world]
            for cell in plan.cells(world)
            if cell.tier is tier and seed not in played[cell]
        ]

    def _play_lab(self, plan: Plan, world: WorldName) -> None:
        """Play one episode after the other. Each is on disk before the next begins."""
        waiting = self._missing_on_lab(plan, world)
        if not waiting:
            return
        with open_world(world, self._lab, what=WHAT) as opened, counter(world, "results", len(waiting)) as count:
            void_in_a_row = 0
            for number, (cell, each) in enumerate(waiting, start=1):
                [scenario] = each.scenarios
                with nullcontext() if self._record is None else self._writer(cell, scenario.seed) as writer:
                    result = replace(each.player.play_in(opened, scenario, record=writer), trajectory=())
                self._add(cell, [result])
                count.after(result, number)
                void_in_a_row = void_in_a_row + 1 if not valid([result]) else 0
                _refuse_failures(result, void_in_a_row)

    def _writer(self, cell: Cell, seed: int) -> RolloutWriter:
        """Writes the record of an episode. What an earlier run left of it is replaced."""
        assert self._record is not None
        try:
            self._record.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(
                f"cannot write records to {self._record}: {error.strerror}; next: another --record DIR"
            ) from error
        return RolloutWriter(self._record / f"{cell.world}-{cell.tier}-{cell.policy}-{seed}.jsonl", overwrite=True)

    def _add(self, cell: Cell, results: Sequence[EpisodeResult]) -> None:
        with CellFile(cell, self._results) as file:
            file.add([of_report(result.report, self._commit) for result in results])
        self.played += len(results)


def _refuse_failures(last: EpisodeResult, void_in_a_row: int) -> None:
    """Raises WorldError if the world fails again and again."""
    if void_in_a_row == MOST_FAILURES:
        raise WorldError(f"{last.report.reason} (the world failed in {MOST_FAILURES} episodes in a row)")


def _say(text: str) -> None:
    print(f"mirr: {text}", file=sys.stderr, flush=True)
