"""`mirr fidelity`: how far the simulator is from the lab, from recordings of both."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.options import JsonOption

if TYPE_CHECKING:
    from mirr.bridge.fidelity.compare import Fidelity
    from mirr.bridge.fidelity.figure import Figure
    from mirr.bridge.recording import Recordings

BAD_NEWS = 1

LabFolderOption = Annotated[
    Path | None,
    typer.Option(
        "--lab", help="Recordings of the lab, by mirr collect: a folder, or a table. Default: recordings/lab."
    ),
]
SimFolderOption = Annotated[
    Path | None,
    typer.Option(
        "--sim", help="Recordings of the simulator, by mirr collect --world sim. Default: it plays the same plays now."
    ),
]
ParametersOption = Annotated[
    Path | None,
    typer.Option(
        "--parameters",
        help="What the simulator plays with, by mirr calibrate. Default: calibration.json in the lab's folder, or "
        "--machine if there is none.",
    ),
]
MachineChoice = Annotated[
    str | None,
    typer.Option("--machine", help="Play with the profile of a machine in place of a fit: reference, or here."),
]
HeldOutOption = Annotated[
    bool, typer.Option("--held-out", help="Compare only plays that the fit has not seen: those held out by it.")
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
    lab: LabFolderOption = None,
    sim: SimFolderOption = None,
    again: AgainOption = None,
    parameters: ParametersOption = None,
    held_out: HeldOutOption = False,
    machine: MachineChoice = None,
    report: ReportOption = None,
    draws: DrawsOption = 200,
    as_json: JsonOption = False,
) -> None:
    """Print how far the simulator is from the lab: signals, outcomes, policies. Exits 1 if a target is missed."""
    from mirr.bridge.fidelity.compare import compare
    from mirr.bridge.fidelity.report import prepare_folder, to_json, write_report
    from mirr.bridge.fidelity.targets import Verdict
    from mirr.bridge.recordings import LAB_FOLDER, read_recordings

    folder = lab or LAB_FOLDER
    if report is not None:
        prepare_folder(report)
    real = read_recordings(folder)
    fit = _fit_beside(folder) if parameters is None and machine is None else parameters
    if held_out:
        real = _unseen(real, fit)
    found = compare(
        real,
        _played_now(real, fit, machine) if sim is None else _recorded(sim, parameters, machine),
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


def _fit_beside(folder: Path) -> Path | None:
    """The file that `mirr calibrate` writes by default for these recordings; None if it is not there."""
    from mirr.bridge.calibration.parameter_file import beside

    path = beside(folder)
    return path if path.is_file() else None


def _unseen(lab: Recordings, fit: Path | None) -> Recordings:
    """The plays that the fit has not seen."""
    from mirr.bridge.calibration.parameter_file import read_calibration

    if fit is None:
        raise typer.BadParameter("--held-out needs the file of a fit; next: mirr calibrate, or --parameters FILE.")
    unseen = read_calibration(fit).held_out
    return replace(lab, by_key={key: one for key, one in lab.by_key.items() if key in unseen})


def _recorded(sim: Path, parameters: Path | None, machine: str | None) -> Recordings:
    from mirr.bridge.recordings import read_recordings

    if parameters is not None or machine is not None:
        raise typer.BadParameter("--sim has its own parameters; --parameters and --machine cannot be given with it.")
    return read_recordings(sim)


def _played_now(lab: Recordings, fit: Path | None, machine: str | None) -> Recordings:
    """What the simulator does in the plays of the lab."""
    from mirr.bridge.calibration.machine_names import MachineName, parse_machine_name
    from mirr.bridge.calibration.parameter_file import FITTED_PROFILE, read_calibration
    from mirr.bridge.calibration.profile import parameters_of
    from mirr.bridge.calibration.simulate import simulated
    from mirr.cli.collect_command import policies_named

    if fit is not None and machine is not None:
        raise typer.BadParameter("--parameters says it all; --machine cannot be given with it.")
    profile = FITTED_PROFILE if fit is not None else parse_machine_name(machine or MachineName.REFERENCE)
    used = read_calibration(fit).parameters if fit is not None else parameters_of(MachineName(profile))
    plays = [one.play for one in lab.by_key.values()]
    print(f"the simulator plays {len(plays)} plays, profile {profile}", file=sys.stderr)
    named = policies_named(sorted({play.policy for play in plays if play.policy}))
    return simulated(plays, used, policies=named, profile=profile)


def _table(found: Fidelity) -> str:
    """The targets, one a line, and what to distrust."""
    from mirr.bridge.fidelity.distrust import distrusted
    from mirr.bridge.fidelity.targets import TARGETS

    lines = [
        f"{len(found.pairs)} plays in both worlds, {len(found.itself)} twice on the lab",
        *_profiles(found.sim),
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


def _profiles(sim: Recordings) -> list[str]:
    """Which parameters the simulator played with, in a line."""
    named = dict.fromkeys(str(session.facts["profile"]) for session in sim.sessions if "profile" in session.facts)
    return [f"profile of the simulator: {', '.join(named)}"] if named else []


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return "-"
    return f"{figure.low:.3g} to {figure.high:.3g}"
