"""`mirr doctor | up | down | logs`: the lab itself."""

from __future__ import annotations

import codecs
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from mirr.cli.interrupts import LEFT_HALF_GONE, works_on_a_lab
from mirr.cli.options import DryRunOption, JsonOption, LabOption
from mirr.env.vocabulary import parse_service
from mirr.lab.errors import LabError
from mirr.lab.installation import HERE
from mirr.lab.names import DEFAULT_LAB, LABEL_ROLE
from mirr.lab.progress import Progress, progress

BAD_NEWS, INTERRUPTED = 1, 130
LEFT_ANSWER_S = 5  # how long one answer of the engine may take, after Ctrl-C
STEADY_WINDOW_S = 2.0
DRIFT_WINDOW_S = 10.0


def revert(lab: str) -> None:
    """Revert everything that is broken in a lab that is up."""
    from mirr.bridge.assembly import assemble_reverter
    from mirr.chaos.errors import ChaosError

    try:
        assemble_reverter(lab).revert()
    except ChaosError as error:
        raise LabError(f"{error}; or start over with: {HERE.command('down', lab)}") from error


def remember(lab: str) -> None:
    """Note how every container of a freshly made lab was made, so that it can be recreated."""
    from mirr.chaos.docker_fleet import DockerFleet
    from mirr.chaos.errors import ChaosError
    from mirr.chaos.journal import Journal
    from mirr.lab.engine import connect
    from mirr.lab.state import state_dir

    try:
        DockerFleet(connect().api, lab, Journal(state_dir(lab))).remember_again()
    except ChaosError as error:
        raise LabError(str(error)) from error


def wait_until_steady(lab: str, timeout_s: float, report: Progress) -> None:
    """Return once the lab is in steady state."""
    from mirr.bridge.assembly import assemble
    from mirr.bridge.steady import wait_until_steady as wait

    def show(problems: list[str]) -> None:
        if problems:
            report.waiting(problems[0])

    wait(assemble(lab).telemetry, timeout_s=timeout_s, on_problems=show)


def steady_problems(lab: str) -> list[str]:
    """What keeps the lab from steady state, a sentence each."""
    from mirr.bridge.assembly import assemble
    from mirr.bridge.steady import steady_problems as problems

    try:
        return problems(assemble(lab).telemetry, STEADY_WINDOW_S)
    except LabError as error:
        return [str(error)]


def profile_drift(lab: str) -> str | None:
    """How a steady lab differs from the profile of this machine: empty if it does not, None if there is no profile."""
    from mirr.bridge.assembly import assemble
    from mirr.bridge.calibration.drift import drift, has_drifted
    from mirr.bridge.calibration.errors import CalibrationError
    from mirr.bridge.calibration.profile import read_profile
    from mirr.env.simulator.randomisation import default_parameters
    from mirr.env.world import WorldError

    try:
        machine = read_profile()
        if machine is None:
            return None
        times = drift(assemble(lab).telemetry.last(DRIFT_WINDOW_S), machine.applied(default_parameters()))
    except (CalibrationError, LabError, WorldError) as error:
        return str(error)
    if times is None or not has_drifted(times):
        return ""
    return f"the lab needs {times:.2f} times the CPU time that the profile of this machine says"


def up(
    lab: LabOption = DEFAULT_LAB,
    as_json: JsonOption = False,
    alertmanager: Annotated[
        bool, typer.Option("--alertmanager", help="Add an Alertmanager. The lab keeps it until it is taken down.")
    ] = False,
) -> None:
    """Build what is not built, start the lab, and wait until it is in steady state."""
    try:
        _up(lab, as_json=as_json, alertmanager=alertmanager)
    except KeyboardInterrupt:
        print(f"mirr: interrupted; {_left(lab)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _left(lab: str) -> str:
    """What an `up` that was interrupted left, and what to do about it."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from mirr.lab.containers import LabContainers
    from mirr.lab.engine import connect
    from mirr.lab.up_and_down import PARTS

    try:
        containers = LabContainers(connect(answer_s=LEFT_ANSWER_S), lab).all()
    except (LabError, DockerException, RequestException):
        return f"the engine does not say what is left of lab {lab}; go on with: {HERE.command('up', lab)}"
    found = [one for one in containers if one.labels.get(LABEL_ROLE) in PARTS]
    if not found:
        return f"lab {lab} has no container yet; images that were built stay; go on with: {HERE.command('up', lab)}"
    running = sum(one.status == "running" for one in found)
    return (
        f"lab {lab} has {len(found)} of its {sum(PARTS.values())} containers, and {running} of them run; "
        f"go on with: {HERE.command('up', lab)}, or remove them with: {HERE.command('down', lab)}"
    )


def _up(lab: str, *, as_json: bool, alertmanager: bool) -> None:
    from mirr.lab.lock import hold_here
    from mirr.lab.up_and_down import bring_up
    from mirr.lab.up_time import keep_up

    began_s = time.monotonic()
    with hold_here(lab, "mirr up") as held, progress() as report:
        places = bring_up(
            lab,
            report,
            revert=revert,
            remember=remember,
            hold=held.in_engine,
            wait_until_steady=lambda name, limit_s: wait_until_steady(name, limit_s, report),
            alertmanager=alertmanager,
        )
    took_s = time.monotonic() - began_s
    keep_up(lab, took_s)
    if as_json:
        print(json.dumps({**asdict(places), "seconds": round(took_s, 1)}))
        return
    alerts = f"  alerts      {places.alertmanager_url}\n" if places.alertmanager_url else ""
    print(
        f"lab {lab} is in steady state after {took_s:.1f} s\n"
        f"  gateway     {places.gateway_url}\n"
        f"  metrics     {places.gateway_url}/metrics\n"
        f"  Prometheus  {places.prometheus_url}\n"
        f"{alerts}"
        f"next: {HERE.command('status', lab)}, or break something: "
        f"{HERE.command('inject bad_deploy payments', lab)}\n"
        f"      or watch an episode: {HERE.command('demo --world docker', lab)}\n"
        f"      or play it in a browser: {HERE.command('room --world docker', lab)}"
    )


def down(lab: LabOption = DEFAULT_LAB, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Remove the lab's containers, networks and volumes, and nothing else."""
    from mirr.chaos.reverter import TURN_FILE, TURN_S
    from mirr.chaos.turns import turn
    from mirr.cli.room_beside import end as end_room
    from mirr.lab.engine import connect
    from mirr.lab.lock import hold
    from mirr.lab.progress import timed
    from mirr.lab.state import state_dir
    from mirr.lab.up_and_down import take_down

    if dry_run:
        _print_removals(lab, as_json=as_json)
        return
    with works_on_a_lab(left=LEFT_HALF_GONE), hold(lab, "mirr down"), progress() as report:
        client = connect()
        # While we hold the turn, the reaper does not revert what is being removed. The turn ends with the lab's folder.
        with timed(report, f"removing lab {lab}"), turn(state_dir(lab) / TURN_FILE, timeout_s=TURN_S):
            removed = take_down(lab, client)
    end_room(lab)
    if as_json:
        print(json.dumps({"lab": lab, **asdict(removed)}))
    elif removed:
        print(
            f"lab {lab} is gone: {removed.containers} containers, {removed.networks} networks, "
            f"{removed.volumes} volumes removed"
        )
    else:
        print(f"lab {lab} is not there; nothing to remove")


def _print_removals(lab: str, *, as_json: bool) -> None:
    from mirr.lab.engine import connect
    from mirr.lab.ownership import holdings, name_of

    found = holdings(connect().api, lab)
    removals = [
        *({"kind": "container", "name": name_of(row), "id": row["Id"][:12]} for row in found.containers),
        *({"kind": "network", "name": row["Name"], "id": row["Id"][:12]} for row in found.networks),
        *({"kind": "volume", "name": row["Name"], "id": None} for row in found.volumes),
    ]
    if as_json:
        plan = [{**removal, "act": "remove it for good"} for removal in removals]
        print(json.dumps({"lab": lab, "dry_run": True, "plan": plan}))
        return
    for removal in removals:
        identity = f" ({removal['id']})" if removal["id"] else ""
        print(f"would remove {removal['kind']} {removal['name']}{identity}")
    print("nothing was done" if removals else f"lab {lab} is not there; nothing to remove", file=sys.stderr)


def logs(
    service: Annotated[str, typer.Argument(help="gateway, auth, inventory, orders or payments")],
    lab: LabOption = DEFAULT_LAB,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing as new lines come.")] = False,
) -> None:
    """Print a service's log lines."""
    from mirr.lab.containers import LabContainers
    from mirr.lab.engine import connect

    container = LabContainers(connect(), lab).service(parse_service(service))
    try:
        if follow:
            _show(container.logs(tail=lines, stream=True, follow=True))
        else:
            _show([container.logs(tail=lines)])
    except BrokenPipeError:
        # The reader has closed the pipe, as `| head` does. Without this, Python reports an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(chunks: Iterable[bytes]) -> None:
    """Write log lines to stdout: to a pipe as they are, to a terminal without control characters."""
    from mirr.env.rendering import printable

    if not sys.stdout.isatty():
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        return
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")  # a chunk may end inside a character
    for chunk in chunks:
        sys.stdout.write("\n".join(map(printable, decoder.decode(chunk).split("\n"))))
        sys.stdout.flush()


def doctor(lab: LabOption = DEFAULT_LAB, as_json: JsonOption = False) -> None:
    """Check every precondition. For each that fails, print the command that fixes it."""
    from mirr.lab.doctor import Verdict, blocked, examine

    checks = examine(lab, steady_problems, profile_drift)
    if as_json:
        print(json.dumps({"checks": [asdict(check) for check in checks]}))
    else:
        for check in checks:
            print(f"{check.status:4}  {check.code:10}  {check.text}")
            if check.status is not Verdict.PASS:
                print(f"{'':18}fix it with: {check.remedy}")
    if blocked(checks):
        raise typer.Exit(BAD_NEWS)


def register(app: typer.Typer) -> None:
    """Add the lab's commands to `mirr`."""
    for command in (doctor, up, down, logs):
        app.command()(command)
