"""`mirr openenv`: episodes for OpenEnv clients, on the simulator or on a lab."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from mirr.bridge.calibration.machine_names import MachineName
from mirr.cli.interrupts import works_on_a_lab
from mirr.cli.options import LabOption, MachineOption, TierOption
from mirr.cli.worlds import WorldName, chosen_machine, open_world, parse_world, world_label
from mirr.env.vocabulary import Tier, parse_tier
from mirr.lab.installation import HERE

_PORT_OF_OPENENV = 8000


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(openenv)


def openenv(
    world: Annotated[str, typer.Option(help="Where the episodes are played: sim or docker.")] = "sim",
    tier: TierOption = None,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    host: Annotated[
        str, typer.Option(help="The address to listen on. The default can be reached from this machine only.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = _PORT_OF_OPENENV,
    sessions: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Episodes at once: 64 on the simulator, 1 on a lab.")
    ] = None,
    idle: Annotated[float, typer.Option(min=1.0, help="Seconds after which a silent session is ended.")] = 1800.0,
    web: Annotated[bool, typer.Option("--web", help="Serve a page at /web on which a person can play.")] = False,
) -> None:
    """Serve episodes over OpenEnv's HTTP and WebSocket API until interrupted."""
    name, drawn_from = parse_world(world), Tier.EASY if tier is None else parse_tier(tier)
    speed = chosen_machine(machine, name)
    if name is WorldName.DOCKER and sessions not in (None, 1):
        raise typer.BadParameter(f"a lab plays one episode at a time; got --sessions {sessions}.")
    if importlib.util.find_spec("openenv") is None:
        raise typer.BadParameter(f"this needs openenv; next: {HERE.add_extra('openenv')}.")
    import_openenv()
    from mirr.interfaces.openenv.server.app import MAX_SESSIONS, CannotServe, ServerConfig, serve
    from mirr.interfaces.openenv.server.exclusive import in_turns

    source = partial(open_world, name, lab, what="mirr openenv", machine=speed)
    most = sessions or (1 if name is WorldName.DOCKER else MAX_SESSIONS)
    config = ServerConfig(host=host, port=port, max_sessions=most, idle_s=idle, web=web, tier=drawn_from)
    if name is WorldName.DOCKER:
        config = replace(
            config,
            when_full=f"try again when that session has ended, or was silent for {idle:g} s (--idle); "
            "a lab plays one episode at a time, so --sessions cannot make room",
        )

    if speed is not MachineName.REFERENCE:
        with source():  # so that a profile that is not there is said now
            pass

    def announce(address: str) -> None:
        print(f"OpenEnv server on {address} (world {world_label(name, speed)}, at most {most} sessions)", flush=True)

    try:
        with works_on_a_lab(name is WorldName.DOCKER):
            serve(in_turns(source) if name is WorldName.DOCKER else source, config, announce)
    except CannotServe as error:
        raise typer.BadParameter(f"{error}.") from error


def import_openenv() -> None:
    """Import OpenEnv without gradio, the library of its page. OpenEnv can do without it.

    To import gradio takes longer than all the rest together. With `--web`, it is imported when the page is made.
    """
    if "openenv.core" in sys.modules or "gradio" in sys.modules:
        return
    sys.modules["gradio"] = None  # type: ignore[assignment]  # Python's own way to say that a module is not there
    try:
        import openenv.core  # type: ignore[import-untyped]  # noqa: F401
    finally:
        del sys.modules["gradio"]
