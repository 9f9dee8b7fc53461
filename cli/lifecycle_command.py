"""`mirr lifecycle`: plays every fault from steady state back to steady state, and prints a table for people."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirr.bridge.calibration.machine_names import MachineName
from mirr.cli.options import MODE_HELP, SERVICE_HELP, JsonOption, LabOption, MachineOption
from mirr.cli.worlds import WorldName, chosen_machine, parse_world, world_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirr.chaos.lifecycle import Lifecycle, Row

BAD_NEWS, WORLD_FAILED = 1, 3

ModeOption = Annotated[str | None, typer.Option("--mode", help=f"Only this: {MODE_HELP}")]
ServiceOption = Annotated[str | None, typer.Option("--service", help=f"Only this: {SERVICE_HELP}")]
WorldOption = Annotated[str, typer.Option("--world", help="docker, a lab that is up; or sim, in a second or two.")]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(lifecycle)


def lifecycle(
    mode: ModeOption = None,
    service: ServiceOption = None,
    world: WorldOption = "docker",
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Play every fault: it is injected, an objective is lost, only the right fix helps, and nothing is left behind.

    Takes about 40 s for each fault on a lab. Exits 1 if a row is red, 3 if the world failed in every row.
    """
    from mirr.chaos.faults import faults, parse_kind
    from mirr.env.vocabulary import parse_service

    of_mode, of_form = (None, None) if mode is None else parse_kind(mode)
    played_faults = faults(of_mode, of_form, None if service is None else parse_service(service))
    chosen = parse_world(world)
    speed = chosen_machine(machine, chosen)
    began_s = time.monotonic()
    rows: list[Row] = []
    with _opened(chosen, lab, speed) as played:
        for row in played.rows(played_faults):
            rows.append(row)
            print(f"[{len(rows)}/{len(played_faults)}] {_line(row)}", file=sys.stderr, flush=True)
    answer = _answer(chosen, speed, lab, rows, time.monotonic() - began_s)
    print(json.dumps(answer, indent=2) if as_json else _matrix(answer, rows))
    if all(row.void for row in rows):
        raise typer.Exit(WORLD_FAILED)
    if not all(row.green for row in rows):
        raise typer.Exit(BAD_NEWS)


@contextmanager
def _opened(world: WorldName, lab: str, machine: MachineName) -> Iterator[Lifecycle]:
    from mirr.chaos.lifecycle import Lifecycle
    from mirr.cli.worlds import open_world

    with open_world(world, lab, what="mirr lifecycle", machine=machine) as opened:
        if world is WorldName.SIM:
            yield Lifecycle(opened, footprint=dict)
            return
        from mirr.bridge.assembly import assemble
        from mirr.bridge.traces import traces

        parts = assemble(lab)
        yield Lifecycle(opened, footprint=lambda: traces(parts))


def _answer(world: WorldName, machine: MachineName, lab: str, rows: list[Row], seconds: float) -> dict[str, Any]:
    return {
        "world": world_label(world, machine),
        "lab": lab if world is WorldName.DOCKER else None,
        "rows": [row.to_json() for row in rows],
        "green": sum(row.green for row in rows),
        "of": len(rows),
        "seconds": round(seconds, 1),
    }


def _matrix(answer: dict[str, Any], rows: list[Row]) -> str:
    where = "the simulator" if answer["lab"] is None else f"lab {answer['lab']}"
    lines = [
        f"{'':7}{'fault':<24}{'lost after':>10}   {'wrong fixes, each of which must leave it lost':<66}"
        f"{'restored':>9}{'left':>6}{'took':>8}"
    ]
    for row in rows:
        tried = ", ".join(_tried(fix) for fix in row.wrong_fixes) or "-"
        lines.append(
            f"{'green' if row.green else 'RED':<7}{row.fault!s:<24}{_seconds(row.lost_after_s):>10}   {tried:<66}"
            f"{_seconds(row.restored_after_s):>9}{len(row.residue):>6}{row.seconds:>6.0f} s"
        )
        lines += [f"{'':7}{problem}" for problem in row.problems]
    lines.append(f"{answer['green']} of {answer['of']} rows green on {where} in {answer['seconds']:.0f} s")
    return "\n".join(lines)


def _tried(fix: Any) -> str:
    from mirr.env.vocabulary import action_text

    return action_text(fix.action) if fix.lost else f"{action_text(fix.action)} HELPED"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:g} s"


def _line(row: Row) -> str:
    state = "green" if row.green else f"RED: {'; '.join(row.problems)}"
    return f"{row.fault} {state} ({row.seconds:.0f} s)"
