"""`mirr records`: plays recorded episodes back, shows them, and turns them into a data set."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.cli.options import JsonOption

if TYPE_CHECKING:
    from mirr.env.record import RecordedStep, Rollout

BAD_NEWS = 1
DIFFERENCES_SHOWN = 10

RECORD_FILES = "*.jsonl"

FilesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Records that --record wrote, or folders: all files in them as *.jsonl."),
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A record that --record wrote.")]
ToOption = Annotated[Path, typer.Option("--to", help="The table to write. Its name must end in .parquet.")]

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a table that exists already.")]

records = typer.Typer(
    name="records",
    help="Recorded episodes: play them back, read them, or turn them into a data set.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(records)


@records.command()
def check(files: FilesArgument, as_json: JsonOption = False) -> None:
    """Play records back and compare observations, rewards and reports. Exit with 1 if any of them differs."""
    from mirr.env.record import RecordError, read_rollout
    from mirr.env.recorded import play_back

    answers: list[dict[str, object]] = []
    for path in _records_in(files):
        try:
            playback = play_back(read_rollout(path))
        except RecordError as error:
            # An unreadable record counts as different. The other records are still checked.
            answer: dict[str, object] = {"file": str(path), "same": False, "steps": None, "differences": [str(error)]}
        else:
            differences = list(playback.differences)
            answer = {"file": str(path), "same": playback.same, "steps": playback.steps, "differences": differences}
        answers.append(answer)
        if not as_json:
            print(_checked(answer))
    if as_json:
        print(json.dumps({"records": answers}, indent=2))
    else:
        print(_summary(answers))
    if not all(answer["same"] for answer in answers):
        raise typer.Exit(BAD_NEWS)


def _records_in(paths: list[Path]) -> list[Path]:
    """The files to read, in order. A folder stands for all the records in it. Raises RecordError for one without."""
    from mirr.env.record import RecordError

    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob(RECORD_FILES)) if os.path.isdir(path) else [path]  # raises nothing
        if not inside:
            raise RecordError(f"the folder {path} holds no records: no file in it ends in .jsonl")
        found += inside
    return found


def _summary(answers: list[dict[str, object]]) -> str:
    same = sum(bool(answer["same"]) for answer in answers)
    counted = f"{len(answers)} {'record' if len(answers) == 1 else 'records'} checked"
    if same == len(answers):
        return f"{counted}: all the same"
    return f"{counted}: {same} the same, {len(answers) - same} not"


def _checked(answer: dict[str, object]) -> str:
    if answer["same"]:
        return f"{answer['file']}: {answer['steps']} steps, all the same"
    differences = answer["differences"]
    assert isinstance(differences, list)
    shown = [f"  {each}" for each in differences[:DIFFERENCES_SHOWN]]
    more = len(differences) - len(shown)
    return "\n".join([f"{answer['file']}: not the same", *shown, *([f"  and {more} more"] if more else [])])


@records.command()
def export(files: FilesArgument, to: ToOption, overwrite: OverwriteOption = False, as_json: JsonOption = False) -> None:
    """Turn records into a Parquet table with one row a step. This needs the extra `records`."""
    from mirr.env.record import refuse_existing
    from mirr.interfaces.parquet import export as export_table

    if to.suffix != ".parquet":
        raise typer.BadParameter(f"--to {to}: the name of the table has to end in .parquet.")
    if not os.path.isdir(to.parent):
        raise typer.BadParameter(f"--to {to}: there is no directory {to.parent}.")
    if not overwrite:
        refuse_existing(to, "the table", "--to FILE")
    done = export_table(_records_in(files), to, lambda text: print(f"mirr: {text}", file=sys.stderr))
    if as_json:
        print(json.dumps({"table": str(to), "episodes": done.episodes, "rows": done.rows}))
    else:
        print(f"{to}: {done.episodes} episodes, {done.rows} rows")


@records.command()
def show(file: FileArgument) -> None:
    """Print a record: every observation, every action, and how it ended."""
    from mirr.env.record import read_rollout

    if os.path.isdir(file):
        first = _records_in([file])[0]
        raise typer.BadParameter(f"{file} is a folder; next: mirr records show {first}")
    rollout = read_rollout(file)
    print(_heading(rollout))
    for step in rollout.steps:
        print(f"\n{_step_text(step, rollout.config.max_steps)}")
    print(f"\n{_ending(rollout)}")


def _heading(rollout: Rollout) -> str:
    from mirr.cli.watching import faults_text
    from mirr.env.rendering import printable

    header = rollout.header
    scenario = rollout.scenario
    named = (
        f", scenario {printable(scenario.name)}" if scenario.name else f" ({scenario.tier})" if scenario.tier else ""
    )
    return (
        f"{printable(header['policy'])} in {printable(header['world'])}, seed {rollout.scenario.seed}{named}\n"
        f"what happened: {faults_text(rollout.scenario)}"
    )


def _step_text(step: RecordedStep, max_steps: int) -> str:
    from mirr.env.rendering import render

    reward = "" if step.action is None else f"\nreward {step.reward:+.1f}"
    return render(step.seen(max_steps)) + reward


def _ending(rollout: Rollout) -> str:
    if rollout.end is None:
        return "cut off: the record has no end"
    from mirr.env.rendering import printable

    report = rollout.end["report"]
    facts = [
        f"  {printable(name):<20} {printable(value) if isinstance(value, str) else json.dumps(value)}"
        for name, value in report.items()
        if name not in ("world", "policy", "seed", "scenario", "outcome", "reason", "trajectory")
    ]
    return "\n".join([f"{report['outcome']}: {printable(report['reason'])}", *facts])
