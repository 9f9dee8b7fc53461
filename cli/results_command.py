"""`mirr results`: plays every agent in every tier of both worlds, and writes the tables of the results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.options import JsonOption, LabOption
from mirr.cli.results_plan import FIRST_SEED, make_plan
from mirr.cli.worlds import WorldName

if TYPE_CHECKING:
    from mirr.bridge.results.cells import Cell, Episodes
    from mirr.env.record_values import Line

BOTH = "both"
MOST_EPISODES = 100_000  # of an agent in a tier, in one command

WorldOption = Annotated[
    str | None,
    typer.Option(
        "--world", help="Where to play: sim, docker or both. Default: sim; with --from-records nothing is played."
    ),
]
PoliciesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--policies", "--policy", help="Who plays, as in heuristic,oracle. Default: all; on a lab, the main ones."
    ),
]
TiersOption = Annotated[
    list[str] | None, typer.Option("--tiers", "--tier", help="Which tiers, as in easy,hard. Default: all.")
]
EpisodesOption = Annotated[
    int | None,
    typer.Option(
        "--episodes",
        min=1,
        max=MOST_EPISODES,
        help="Episodes of each agent in each tier. Default: 1000 in sim, 40 in docker.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="The first seed.")]
OutOption = Annotated[
    Path, typer.Option("--out", help="The folder of the results. What it has already is not played again.")
]
FromOption = Annotated[
    list[Path] | None,
    typer.Option("--from-records", help="Take in the recorded episodes of a folder. It may be given more than once."),
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", help="Also write a record of each episode of the lab into this folder.")
]
ReadmeOption = Annotated[
    Path | None, typer.Option("--readme", help="Also put the short tables between the marks of this page.")
]
RayOption = Annotated[bool, typer.Option("--ray", help="Play on Ray: the extra ray, started on this machine.")]
AddressOption = Annotated[
    str | None, typer.Option("--address", help="Play on the Ray cluster at this address, as in auto or HOST:6379.")
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Forget what the folder has of these agents and tiers, and play it anew.")
]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(results)


def results(
    world: WorldOption = None,
    policies: PoliciesOption = None,
    tiers: TiersOption = None,
    episodes: EpisodesOption = None,
    seed: SeedOption = FIRST_SEED,
    out: OutOption = Path("results"),
    from_records: FromOption = None,
    record: RecordOption = None,
    readme: ReadmeOption = None,
    again: AgainOption = False,
    ray: RayOption = False,
    address: AddressOption = None,
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Play all agents, and write results.json, results.md and episodes.parquet: each figure with its interval.

    A run that was stopped goes on where it was.
    """
    from mirr.bridge.provenance import commit
    from mirr.cli.results_play import PlayResults, only_one_writes
    from mirr.env.world import WorldError
    from mirr.lab.errors import LabError

    on_ray = ray or address is not None
    if on_ray and record is not None:
        raise typer.BadParameter("--record cannot be given with --ray: the records would be on other machines.")
    worlds = _worlds(world, nothing=bool(from_records))
    plan = make_plan(worlds, _names(policies), _names(tiers), seed=seed, episodes=episodes)
    with only_one_writes(out):
        play = PlayResults(out, lab=lab, commit=commit(), record=record)
        try:
            for folder in from_records or ():
                play.take(folder)
            if again:
                play.forget(plan)
            if on_ray:
                play.play_on_ray(plan, address)
            else:
                play.play(plan)
        except (KeyboardInterrupt, LabError, WorldError):
            _write(out, readme)  # what there is
            raise
        report = _write(out, readme)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print(_text(out, report, play.played))


def _worlds(name: str | None, *, nothing: bool) -> tuple[WorldName, ...]:
    """The worlds of that name. `nothing`: where no name is given, nothing is played. Raises UnknownName."""
    from mirr.cli.worlds import parse_world

    if name is None:
        return () if nothing else (WorldName.SIM,)
    return tuple(WorldName) if name == BOTH else (parse_world(name),)


def _names(given: list[str] | None) -> list[str]:
    """What was given, once or more than once, with commas or without."""
    return [name.strip() for each in given or () for name in each.split(",")]


def _write(out: Path, readme: Path | None) -> Line:
    """Write the report, the pages and the table of all that the folder has, and return the report. What it has no
    episodes of stays as it was: git, for one, keeps only those of the lab."""
    from mirr import __version__
    from mirr.agents.registry import PolicyName
    from mirr.bridge.results.cells import read_cells
    from mirr.bridge.results.report import JSON_NAME, Order, put_into, read_report, report_of, write_report
    from mirr.cli.results_plan import main_policies

    cells = {cell: episodes for cell, episodes in read_cells(out).items() if episodes.by_seed or episodes.void}
    order = Order(policies=tuple(PolicyName), worlds=tuple(WorldName))
    path = out / JSON_NAME
    earlier = read_report(path) if path.exists() else None
    report = report_of(cells, order, main=main_policies(), version=__version__, earlier=earlier)
    write_report(report, out)
    _write_table(cells, out)
    if readme is not None:
        put_into(readme, report)
    return report


def _write_table(cells: dict[Cell, Episodes], out: Path) -> None:
    """Write the Parquet table, if there can be one."""
    from mirr.bridge.results.table_file import write_table
    from mirr.env.record import RecordError

    try:
        write_table(cells, out)
    except RecordError as error:  # everything else is on disk all the same
        print(f"mirr: no table: {error}", file=sys.stderr)


def _text(out: Path, report: Line, played: int) -> str:
    from mirr.bridge.results.report import PAGE_NAME

    episodes, rows = sum(cell["episodes"] for cell in report["cells"]), len(report["cells"])
    return (
        f"{out / PAGE_NAME}: {episodes:,} episodes in {rows} {'row' if rows == 1 else 'rows'}, "
        f"{played:,} played in this run"
    )
