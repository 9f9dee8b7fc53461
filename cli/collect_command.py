"""`mirr collect`: records what a world does, so that the two worlds can be compared."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirr.bridge.calibration.machine_names import MachineName
from mirr.cli.options import JsonOption, LabOption, MachineOption
from mirr.cli.worlds import WorldName, chosen_machine, open_world, parse_world

if TYPE_CHECKING:
    from mirr.bridge.collect import Collected, Progress
    from mirr.bridge.collect_plan import Design
    from mirr.bridge.collect_plays import MakePolicy, ProbePace
    from mirr.bridge.recording import Session
    from mirr.env.world import World

A_LINE_EVERY_S = 10.0  # on the simulator, where a play takes milliseconds

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The folder to write to. What it has already is not played again. Default: recordings/lab, or "
        "recordings/sim.",
    ),
]
WorldOption = Annotated[str, typer.Option("--world", help="What to record: docker, a lab that is up; or sim.")]
MinutesOption = Annotated[
    float | None, typer.Option("--minutes", min=0.0, help="Stop after so many minutes. Default: play the whole plan.")
]
PartOption = Annotated[
    list[str] | None,
    typer.Option("--part", help="Only this part: probes, episodes or policies. Default: probes and episodes."),
]
RoundsOption = Annotated[int, typer.Option("--rounds", min=1, max=100, help="How often each play is played.")]
PassesOption = Annotated[
    int, typer.Option("--passes", min=1, max=5, help="How many services each form breaks. Default: every one.")
]
PolicyOption = Annotated[
    list[str] | None, typer.Option("--policy", help="In the part policies, only this one. Default: every one but llm.")
]
EpisodesOption = Annotated[
    int, typer.Option("--episodes", min=1, max=10_000, help="In the part policies: how many seeds each policy plays.")
]
TierOption = Annotated[
    str | None, typer.Option("--tier", help="In the part policies: what they play. Default: the hardest tier.")
]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(collect)


def collect(
    out: OutOption = None,
    world: WorldOption = "docker",
    minutes: MinutesOption = None,
    part: PartOption = None,
    rounds: RoundsOption = 2,
    passes: PassesOption = 5,
    policy: PolicyOption = None,
    episodes: EpisodesOption = 20,
    tier: TierOption = None,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Record steady state, probes of every fault, and episodes, for `mirr fidelity`. The most important come first.

    On a lab, a probe takes 32 s and a restore. A run that was stopped goes on where it was.
    """
    from mirr.bridge.collect import collect as collect_plays
    from mirr.bridge.collect_plan import plan
    from mirr.bridge.collect_plays import Player, ProbePace
    from mirr.bridge.recordings import LAB_FOLDER, SIM_FOLDER, open_file

    chosen, pace = parse_world(world), ProbePace()
    speed = chosen_machine(machine, chosen)
    out = out or (SIM_FOLDER if chosen is WorldName.SIM else LAB_FOLDER)
    design = _design(part, policy, tier, rounds=rounds, passes=passes, episodes=episodes)
    budget_s = None if minutes is None else 60.0 * minutes
    with open_file(out) as file, _opened(chosen, speed, lab, pace) as (opened, session):
        file.begin(session)
        player = Player(opened, pace=pace, policies=policies_named(design.policies))
        try:
            done = collect_plays(plan(design), player, file, budget_s=budget_s, say=_teller(chosen))
        finally:
            table = _write_table(out)  # after Ctrl-C and a failure, too
    answer = _answer(chosen, out, table, done)
    print(json.dumps(answer, indent=2) if as_json else _text(answer))


def _design(
    parts: list[str] | None, policies: list[str] | None, tier: str | None, *, rounds: int, passes: int, episodes: int
) -> Design:
    """The design that the options ask for. Raises UnknownName, before anything is opened."""
    from mirr.agents.registry import SELF_SUFFICIENT, parse_policy, refuse_unready
    from mirr.bridge.collect_plan import DEFAULT_PARTS, Design, parse_part
    from mirr.env.vocabulary import Tier, parse_tier

    chosen = tuple(parse_policy(name) for name in policies or SELF_SUFFICIENT)
    for each in chosen:
        refuse_unready(each)
    return Design(
        parts=tuple(parse_part(name) for name in parts) if parts else DEFAULT_PARTS,
        rounds=rounds,
        passes=passes,
        policies=chosen,
        policy_tier=tuple(Tier)[-1] if tier is None else parse_tier(tier),
        policy_seeds=range(episodes),
    )


def policies_named(names: Iterable[str]) -> Mapping[str, MakePolicy]:
    """How to make each of these policies. Raises UnknownName."""
    from mirr.agents.registry import make_policy, parse_policy

    return {name: partial(make_policy, parse_policy(name)) for name in names}


@contextmanager
def _opened(world: WorldName, machine: MachineName, lab: str, pace: ProbePace) -> Iterator[tuple[World, Session]]:
    """The world, and what one has to know to repeat its recordings."""
    from mirr import __version__
    from mirr.bridge.provenance import lab_facts, run_facts, simulator_facts
    from mirr.bridge.recording import Session

    with open_world(world, lab, what="mirr collect", machine=machine) as opened:
        if world is WorldName.SIM:
            from mirr.bridge.calibration.profile import parameters_of

            facts = simulator_facts(parameters_of(machine), machine)
        else:
            from mirr.bridge.assembly import assemble

            facts = lab_facts(assemble(lab).containers)
        yield opened, Session(world=world, facts=run_facts(__version__, pace) | facts)


def _write_table(out: Path) -> str | None:
    """The path of the table that was made from the folder's file; None if there can be none, with the reason on
    stderr."""
    from mirr.bridge.recording_file import FILE_NAME, read_file
    from mirr.bridge.recording_table import write_table
    from mirr.env.record import RecordError

    try:
        return str(write_table(read_file(out / FILE_NAME), out))
    except RecordError as error:  # the recordings are on disk all the same
        print(f"mirr: no table: {error}", file=sys.stderr)
        return None


def _teller(world: WorldName) -> Callable[[Progress], None]:
    """Tells on stderr how far the collection is: every play of a lab, and a line now and then on the simulator."""
    said_at_s = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal said_at_s
        if world is WorldName.SIM and not progress.void and time.monotonic() - said_at_s < A_LINE_EVERY_S:
            return
        said_at_s = time.monotonic()
        how = f"void: {progress.void}" if progress.void else f"{progress.seconds:.0f} s"
        left = f"about {_duration(progress.left_s)} left"
        print(f"[{progress.done}/{progress.of}] {progress.play.key}: {how}; {left}", file=sys.stderr, flush=True)

    return tell


def _duration(seconds: float) -> str:
    """As people say it: `40 s`, `12 min` or `2 h 5 min`."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _answer(world: WorldName, out: Path, table: str | None, done: Collected) -> dict[str, Any]:
    return {
        "world": world,
        "out": str(out),
        "table": table,
        "played": done.played,
        "void": done.void,
        "done": done.done,
        "of": done.of,
        "complete": done.complete,
        "seconds": round(done.seconds, 1),
    }


def _text(answer: dict[str, Any]) -> str:
    void = f", {answer['void']} void" if answer["void"] else ""
    rest = "" if answer["complete"] else "\nnext: the same command again plays the rest"
    return (
        f"{answer['out']}: {answer['done']} of {answer['of']} plays of {answer['world']} "
        f"({answer['played']} in this run{void}, {_duration(answer['seconds'])}){rest}"
    )
