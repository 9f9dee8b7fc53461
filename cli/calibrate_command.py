"""`mirr calibrate`: fits the simulator's parameters to recordings of the lab, or measures this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirr.cli.options import JsonOption, LabOption

if TYPE_CHECKING:
    from mirr.bridge.calibration.calibrating import Calibration, Losses
    from mirr.bridge.calibration.quick import Quick

FromOption = Annotated[
    Path | None,
    typer.Option("--from", help="Recordings by mirr collect: a folder, or a table of it. Default: recordings/lab."),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="The file to write. Default: calibration.json in the folder of the recordings."),
]
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick", help="Measure only this machine, on a lab that is up, in five minutes. See --machine here."
    ),
]
ClosedFormOption = Annotated[
    bool, typer.Option("--closed-form", help="Leave out the method of simulated moments, which needs cma.")
]
DrawsOption = Annotated[int, typer.Option("--draws", min=2, max=10_000, help="Samples of the plays, for intervals.")]
EvaluationsOption = Annotated[
    int, typer.Option("--evaluations", min=1, max=100_000, help="Candidates of the simulated moments.")
]
PlaysOption = Annotated[int, typer.Option("--plays", min=1, max=100_000, help="Plays that a candidate plays.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the search and of the samples.")]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(calibrate)


def calibrate(
    recordings: FromOption = None,
    out: OutOption = None,
    quick: QuickOption = False,
    closed_form: ClosedFormOption = False,
    draws: DrawsOption = 100,
    evaluations: EvaluationsOption = 100,
    plays: PlaysOption = 120,
    seed: SeedOption = 0,
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Fit the simulator's parameters to recordings of the lab, and write them to a file that says where they come from.

    One service, severe faults and all policies are held out: they show whether the fit holds where it has not looked.
    """
    if quick:
        if recordings is not None or out is not None:
            raise typer.BadParameter("--quick measures a lab that is up, and keeps the profile of this machine itself.")
        measured, profile = _measured(lab)
        answer = {"profile": str(profile), **_quick_json(measured)}
        print(json.dumps(answer, indent=2) if as_json else _quick_text(measured, profile))
        return
    from mirr import __version__
    from mirr.bridge.calibration.calibrating import Settings
    from mirr.bridge.calibration.calibrating import calibrate as fit
    from mirr.bridge.calibration.parameter_file import beside, calibration_json, write_calibration
    from mirr.bridge.recordings import LAB_FOLDER, read_recordings
    from mirr.env.simulator.randomisation import default_parameters

    source = recordings or LAB_FOLDER
    path = out or beside(source)
    found_recordings = read_recordings(source)
    settings = Settings(draws=draws, evaluations=0 if closed_form else evaluations, most_plays=plays, seed=seed)
    found = fit(found_recordings, default_parameters(), settings, say=_say)
    answer = calibration_json(found, found_recordings, __version__)
    write_calibration(path, answer)
    print(json.dumps(answer, indent=2) if as_json else f"{_table(found)}\n{path}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _table(found: Calibration) -> str:
    from mirr.bridge.calibration.parameter_file import losses_json

    lines = [f"{'':34}{'before':>11}{'fitted':>11}  {'95% interval':<24}belongs to"]
    for name, one in found.fitted.items():
        interval = "-" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
        lines.append(f"{name:34}{one.before:>11.4g}{one.value:>11.4g}  {interval:<24}{one.kind}")
    lines.append("machine: " + ", ".join(f"{name} {value:.4g}" for name, value in found.machine.numbers().items()))
    lines.append(f"{'loss, in spreads of a metric':30}{'plays':>7}{'untuned':>10}{'tuned':>10}{'lab itself':>12}")
    lines += [_loss_line(split.replace("_", " "), losses) for split, losses in found.losses.items()]
    ratio = losses_json(found)["held_out_over_training"]
    return "\n".join([*lines, f"held out / training: {'-' if ratio is None else f'{ratio:.3g}'} (target: at most 1.3)"])


def _loss_line(name: str, losses: Losses) -> str:
    values = "".join(
        f"{'-' if value is None else f'{value:.4f}':>{width}}"
        for value, width in ((losses.untuned, 10), (losses.tuned, 10), (losses.itself, 12))
    )
    return f"  {name:28}{losses.plays:>7}{values}"


def _measured(lab: str) -> tuple[Quick, Path]:
    """Measure this machine, and keep its profile there."""
    from mirr import __version__
    from mirr.bridge.assembly import assemble
    from mirr.bridge.calibration.profile import write_profile
    from mirr.bridge.calibration.quick import quick
    from mirr.bridge.collect_plays import Player, ProbePace
    from mirr.bridge.provenance import lab_facts, run_facts
    from mirr.cli.worlds import WorldName, open_world
    from mirr.env.simulator.randomisation import default_parameters

    with open_world(WorldName.DOCKER, lab, what="mirr calibrate") as world:
        facts = run_facts(__version__, ProbePace()) | lab_facts(assemble(lab).containers)
        found = quick(Player(world), default_parameters(), say=_say)
    return found, write_profile(found.machine, facts | {"measured": _quick_json(found)["measured"]})


def _quick_json(found: Quick) -> dict[str, Any]:
    return {
        "machine": asdict(found.machine),
        "measured": {
            name: {"value": value, "low": low, "high": high} for name, (value, low, high) in found.measured.items()
        },
        "plays": found.plays,
        "seconds": round(found.seconds, 1),
    }


def _quick_text(found: Quick, profile: Path) -> str:
    lines = [f"{name:34}{value:>11.4g}" for name, value in found.machine.numbers().items()]
    took = f"{found.plays} plays in {found.seconds:.0f} s"
    return "\n".join([*lines, f"{profile}: {took}", "next: mirr evaluate --machine here"])
