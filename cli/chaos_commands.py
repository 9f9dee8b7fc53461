"""`mirr status`, `mirr inject`, `mirr revert`: what a person looks at and does in one lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.chaos.leases import MAX_LEASE_S
from mirr.cli.interrupts import works_on_a_lab
from mirr.cli.options import MODE_HELP, SERVICE_HELP, DryRunOption, JsonOption, LabOption
from mirr.env.quoting import quoted
from mirr.lab.hints import for_lab

if TYPE_CHECKING:
    from mirr.bridge.status import Status
    from mirr.chaos.chaos import Plan
    from mirr.chaos.reverter import Step
    from mirr.env.vocabulary import Fault

REVERT_ANSWER_S = 5
"""How long the kill switch waits for one answer of the engine. It has 10 s for everything."""


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(status)
    app.command()(inject)
    app.command()(revert)


def status(lab: LabOption = "mirr", as_json: JsonOption = False) -> None:
    """Show the state of the lab: services, users, open faults. Exits 1 if it is not in steady state."""
    from mirr.bridge.assembly import assemble
    from mirr.bridge.status import status as measure

    parts = assemble(lab)
    faults = parts.chaos.standing_faults(skew_s=parts.clock.skew_s())
    found = measure(lab, telemetry=parts.telemetry, fleet=parts.fleet, faults=faults)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print_status(found)
    if found.problems:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    from rich.console import Console
    from rich.table import Table

    from mirr.env.vocabulary import Service

    console = Console()
    table = Table(title=f"lab {found.lab}, the last 10 s")
    for heading in ("service", "up", "release", "error ratio", "p95 s", "CPU share", "memory share"):
        table.add_column(heading, justify="left" if heading in ("service", "up", "release") else "right")
    for service in Service:
        up, process, release, *figures = found.service_fields(service).values()
        table.add_row(
            service,
            "yes" if up else f"NO, {process}",
            str(release),
            *("-" if figure is None else f"{figure:.3f}" for figure in figures),
        )
    console.print(table)
    console.print(f"user SLI {found.snapshot.user_sli:.4g}; {'not steady' if found.problems else 'steady'}")
    for problem in found.problems:
        console.print(f"  {problem}")
    for fault in found.faults:
        console.print(f"  injected: {fault}; {for_lab('revert it with: mirr revert', found.lab)}")


def inject(
    mode: Annotated[str, typer.Argument(help=MODE_HELP)],
    service: Annotated[str, typer.Argument(help=SERVICE_HELP)],
    lab: LabOption = "mirr",
    lease_s: Annotated[
        float,
        typer.Option("--lease", min=1.0, max=MAX_LEASE_S, help="Seconds after which the fault is reverted by itself."),
    ] = MAX_LEASE_S,
    max_broken: Annotated[
        int, typer.Option("--max-broken", min=1, max=5, help="How many services may be broken at once.")
    ] = 2,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Inject a fault into a service of a lab that is up. It lasts until `mirr revert`, or until its lease ends."""
    from mirr.bridge.assembly import assemble
    from mirr.chaos.limits import Limits
    from mirr.lab.lock import hold

    fault = _parse(mode, service)
    limits = Limits(max_broken=max_broken)
    if dry_run:
        _print_plan(lab, fault, assemble(lab, limits=limits).chaos.plan(fault, lease_s=lease_s), as_json=as_json)
        return
    with works_on_a_lab(), hold(lab, "mirr inject"):
        parts = assemble(lab, limits=limits)
        typer.echo(f"injecting {fault} ...", err=True)
        parts.chaos.inject(fault, lease_s=lease_s)
    _print_injected(lab, fault, lease_s, as_json=as_json)


def _parse(mode: str, service: str) -> Fault:
    from mirr.env.vocabulary import Fault, Service, UnknownName, parse_service

    try:
        named = parse_service(service)
    except UnknownName as error:
        raise UnknownName(
            f"{quoted(service)} is not touched: mirr breaks the services of its own lab, by these names, and nothing "
            f"else on the engine, whatever its name, id or label; one of: {', '.join(Service)}"
        ) from error
    return Fault.parse(f"{mode}:{named}")


def _print_injected(lab: str, fault: Fault, lease_s: float, *, as_json: bool) -> None:
    from mirr.chaos.faults import severity_on_containers, texts_of
    from mirr.env.forms import severity_of

    severity, asked = severity_on_containers(fault), severity_of(fault)
    if as_json:
        typer.echo(json.dumps({"lab": lab, "fault": str(fault), "severity": severity or None, "lease_s": lease_s}))
        return
    typer.echo(f"injected {fault} into lab {lab}: {texts_of(fault).happens}")
    if severity != asked:
        typer.echo(f"its severity is {severity:g}, the nearest to {asked:g} that has an image", err=True)
    hints = for_lab("watch it with: mirr status; revert it with: mirr revert", lab)
    typer.echo(f"{hints}; it is reverted by itself after {lease_s:g} s", err=True)


def _print_plan(lab: str, fault: Fault, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        step = {
            "container": plan.container,
            "id": plan.container_id[:12],
            "act": plan.act,
            "lasts_s": plan.lasts_s,
            "revert": plan.revert,
        }
        typer.echo(json.dumps({"lab": lab, "dry_run": True, "fault": str(fault), "plan": [step]}))
        return
    typer.echo(f"would inject {fault} into lab {lab}:")
    typer.echo(f"  container  {plan.container} ({plan.container_id[:12]})")
    typer.echo(f"  act        {plan.act}")
    typer.echo(f"  lasts      {plan.lasts_s:g} s at most")
    typer.echo(f"  revert     {plan.revert}")
    typer.echo("nothing was done", err=True)


def revert(lab: LabOption = "mirr", dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Revert everything, no matter who broke it. This is the kill switch: it also works during an episode."""
    from mirr.bridge.assembly import assemble_reverter
    from mirr.chaos.errors import NotReverted
    from mirr.lab.lock import tell_holder

    reverter = assemble_reverter(lab, answer_s=REVERT_ANSWER_S)
    if dry_run:
        _print_steps(lab, reverter.plan(), as_json=as_json)
        return
    try:
        with works_on_a_lab():
            done = reverter.revert()
    except NotReverted as error:
        tell_holder(lab, answer_s=REVERT_ANSWER_S)
        _print_done(lab, error.done, as_json=as_json)
        raise
    tell_holder(lab, reverted=bool(done), answer_s=REVERT_ANSWER_S)
    _print_done(lab, done or ([] if as_json else ["nothing to revert"]), as_json=as_json)


def _print_done(lab: str, done: list[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"lab": lab, "done": done}))
        return
    for line in done:
        typer.echo(line)


def _print_steps(lab: str, steps: list[Step], *, as_json: bool) -> None:
    if as_json:
        plan = [
            {"container": step.container, "id": (step.container_id or "")[:12] or None, "act": step.act}
            for step in steps
        ]
        typer.echo(json.dumps({"lab": lab, "dry_run": True, "plan": plan}))
        return
    for step in steps:
        typer.echo(f"would {step.act}: {step.container} ({(step.container_id or 'removed')[:12]})")
    typer.echo("would end every campaign of the load generator, and close the journal")
    typer.echo("nothing was done", err=True)
