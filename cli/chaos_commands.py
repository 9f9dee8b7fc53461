"""`mirr status`, `mirr inject`, `mirr revert`: a person's hands on one lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, LabOption

if TYPE_CHECKING:
    from bridge.status import Status

MAX_LEASE_S = 600.0  # the load generator takes no longer one


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(status)
    app.command()(inject)
    app.command()(revert)


def status(lab: LabOption = "mirr", as_json: JsonOption = False) -> None:
    """How the lab stands: services, users, open faults. Exits 1 where it is not in steady state."""
    from bridge.assembly import assemble
    from bridge.status import status as measure

    parts = assemble(lab)
    found = measure(lab, telemetry=parts.telemetry, fleet=parts.fleet, faults=parts.chaos.open_faults())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print_status(found)
    if found.problems:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    from rich.console import Console
    from rich.table import Table

    from env.vocabulary import Service

    console = Console()
    table = Table(title=f"lab {found.lab}, the last 10 s")
    for heading in ("service", "up", "release", "error ratio", "p95 s", "CPU share", "memory share"):
        table.add_column(heading, justify="left" if heading in ("service", "up", "release") else "right")
    for service in Service:
        up, release, *figures = found.service_fields(service).values()
        table.add_row(
            service,
            "yes" if up else "NO",
            str(release),
            *("-" if figure is None else f"{figure:.3f}" for figure in figures),
        )
    console.print(table)
    console.print(f"user SLI {found.snapshot.user_sli:.4g}; {'not steady' if found.problems else 'steady'}")
    for problem in found.problems:
        console.print(f"  {problem}")
    for fault in found.faults:
        console.print(f"  injected: {fault}; put back with: mirr revert")


def inject(
    mode: Annotated[str, typer.Argument(help="crashed, memory_leak, overloaded or bad_deploy.")],
    service: Annotated[str, typer.Argument(help="gateway, auth, inventory, orders or payments.")],
    lab: LabOption = "mirr",
    lease_s: Annotated[
        float,
        typer.Option("--lease", min=1.0, max=MAX_LEASE_S, help="Seconds after which injected traffic ends by itself."),
    ] = MAX_LEASE_S,
    as_json: JsonOption = False,
) -> None:
    """Break a service of a lab that is up. `mirr revert` puts it back."""
    from bridge.assembly import assemble
    from chaos.faults import FAULTS
    from env.vocabulary import Fault, parse_mode, parse_service
    from lab.lock import hold

    fault = Fault(parse_mode(mode), parse_service(service))
    with hold(lab, "mirr inject"):
        parts = assemble(lab)
        typer.echo(f"injecting {fault} ...", err=True)
        parts.chaos.inject(fault, lease_s=lease_s)
    if as_json:
        typer.echo(json.dumps({"lab": lab, "fault": str(fault), "lease_s": lease_s}))
    else:
        typer.echo(f"injected {fault} into lab {lab}: {FAULTS[fault.mode].blurb}")
        typer.echo("watch it with: mirr status; put it back with: mirr revert", err=True)


def revert(lab: LabOption = "mirr", as_json: JsonOption = False) -> None:
    """Put everything back, whoever broke it: the kill switch. Takes no turn, so it works in mid-episode too."""
    from bridge.assembly import assemble

    done = assemble(lab).chaos.heal()
    if as_json:
        typer.echo(json.dumps({"lab": lab, "done": done}))
        return
    for line in done or ["nothing to put back"]:
        typer.echo(line)
