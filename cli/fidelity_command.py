"""`mirr fidelity`: how far the simulator is from the lab, from recordings of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.options import JsonOption

if TYPE_CHECKING:
    from mirr.bridge.fidelity.compare import Fidelity
    from mirr.bridge.fidelity.figure import Figure

BAD_NEWS = 1

LabFolderOption = Annotated[Path, typer.Option("--lab", help="Recordings of the lab, by mirr collect.")]
SimFolderOption = Annotated[
    Path, typer.Option("--sim", help="Recordings of the simulator, by mirr collect --world sim.")
]
AgainOption = Annotated[
    Path | None,
    typer.Option("--again", help="Recordings of the lab at another time, in place of its own second round."),
]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Write a page and its figures to this folder.")]
DrawsOption = Annotated[int, typer.Option("--draws", min=0, max=10_000, help="Samples of each bootstrap.")]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(fidelity)


def fidelity(
    lab: LabFolderOption,
    sim: SimFolderOption,
    again: AgainOption = None,
    report: ReportOption = None,
    draws: DrawsOption = 200,
    as_json: JsonOption = False,
) -> None:
    """Print how far the simulator is from the lab: signals, outcomes, policies. Exits 1 if a target is missed."""
    from mirr.bridge.fidelity.compare import compare
    from mirr.bridge.fidelity.report import to_json, write_report
    from mirr.bridge.fidelity.targets import Verdict
    from mirr.bridge.recordings import read_recordings

    found = compare(
        read_recordings(lab),
        read_recordings(sim),
        again=None if again is None else read_recordings(again),
        draws=draws,
    )
    written = None if report is None else write_report(found, report)
    if as_json:
        print(json.dumps(to_json(found), indent=2))
    else:
        print(_table(found))
        if written is not None:
            print(f"report: {written.page}")
    if Verdict.MISSED in found.verdicts.values():
        raise typer.Exit(BAD_NEWS)


def _table(found: Fidelity) -> str:
    """The targets, one a line, and what to distrust."""
    from mirr.bridge.fidelity.distrust import distrusted
    from mirr.bridge.fidelity.targets import TARGETS

    lines = [
        f"{len(found.pairs)} plays in both worlds, {len(found.itself)} twice on the lab",
        f"{'':43}{'figure':>8}  {'95% interval':<18}{'lab itself':>10}  {'target':<15}verdict",
    ]
    figures, verdicts = found.figures, found.verdicts
    level = None
    for measure, target in TARGETS.items():
        if target.level is not level:
            level = target.level
            lines.append(str(level))
        figure = figures[measure]
        lines.append(
            f"  {target.says:<41}{_number(figure.value):>8}  {_interval(figure):<18}{_number(figure.itself):>10}  "
            f"{target.text():<15}{verdicts[measure]}"
        )
    doubts = distrusted(found)
    return "\n".join([*lines, *(["what to distrust", *[f"  {doubt}" for doubt in doubts]] if doubts else [])])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return "-"
    return f"{figure.low:.3g} to {figure.high:.3g}"
