"""`mirr bench`: the simulator's speed and, with a lab up, the lab's figures."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cli.options import JsonOption, LabOption


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(bench)


def bench(
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
    quick: Annotated[bool, typer.Option("--quick", help="Reset from one fault of each mode only.")] = False,
) -> None:
    """Print what was measured here and now. The lab's part needs a lab that is up, and takes some minutes."""
    from env.simulator.bench import single_steps_per_s

    runs = sorted(single_steps_per_s(1.0) for _ in range(5))
    figures: dict[str, Any] = {
        "simulator": {
            "single_steps_per_s": round(runs[len(runs) // 2]),
            "single_steps_per_s_min": round(runs[0]),
            "single_steps_per_s_max": round(runs[-1]),
        }
    }
    lab_figures = _lab_figures(lab, quick)
    if lab_figures is not None:
        figures["lab"] = lab_figures
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
        return
    for part, rows in figures.items():
        typer.echo(part)
        for name, value in rows.items():
            typer.echo(f"  {name:<24} {value:>12,}" if isinstance(value, int) else f"  {name:<24} {value!s:>12}")


def _lab_figures(lab: str, quick: bool) -> dict[str, Any] | None:
    """What a lab that is up comes to; None, and why on stderr, where there is none."""
    from bridge.assembly import assemble, open_docker_world
    from bridge.bench import measure_lab
    from env.vocabulary import ALL_FAULTS, Service
    from lab.errors import LabError
    from lab.figures import last_up

    faults = tuple(fault for fault in ALL_FAULTS if not quick or fault.service is Service.ORDERS)
    try:
        world = open_docker_world(lab, what="mirr bench")
    except LabError as error:
        typer.echo(f"no figures of a lab: {error}", err=True)
        return None
    try:
        figures = measure_lab(
            world, assemble(lab).containers, faults=faults, say=lambda text: typer.echo(text, err=True)
        )
    finally:
        world.close()
    return last_up(lab) | figures.to_json()
