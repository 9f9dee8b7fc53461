"""`mirr mcp`: an exam for any MCP client. fastmcp takes a second to import, so it is imported only when needed."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from mirr.bridge.calibration.machine_names import MachineName
from mirr.cli.interrupts import works_on_a_lab
from mirr.cli.options import JsonOption, LabOption, MachineOption, TierOption
from mirr.cli.worlds import WorldName, chosen_machine, open_world, parse_world, world_label
from mirr.env.quoting import quoted
from mirr.lab.installation import HERE

if TYPE_CHECKING:
    from mirr.interfaces.mcp_server.exam import Exam, ExamConfig, Question

WRONG_USAGE = 2
SYMPTOM = "Users complain, and the dashboards show that something is wrong."
WHAT = "mirr mcp"

_PREFIX = re.compile("[A-Za-z0-9_-]{0,32}")  # clients want names of at most 64 of these characters


class Transport(StrEnum):
    """How clients reach the server."""

    STDIO = "stdio"
    HTTP = "http"


WorldOption = Annotated[str, typer.Option("--world", help="Where the episodes are played: sim or docker.")]
TransportOption = Annotated[Transport, typer.Option("--transport", help="Standard streams, or HTTP on 127.0.0.1.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="For HTTP; 0 takes a free one.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="The seed of the first episode; 0, or the pack's own.")]
EpisodesOption = Annotated[
    int, typer.Option("--episodes", min=1, max=10_000, help="How many episodes; each has an id.")
]
ScenarioOption = Annotated[Path | None, typer.Option("--scenario", help="Play this scenario pack in every episode.")]
RecordOption = Annotated[
    Path | None, typer.Option("--record", help="Write every episode into this directory. Players must not read it.")
]
ListOption = Annotated[
    bool | None,
    typer.Option(
        "--list/--no-list", help="Whether a tool lists the ids. Default: yes with stdio, where there is one client."
    ),
]
PrefixOption = Annotated[
    str,
    typer.Option(
        "--tool-prefix", help="Begins every tool's name, as in lab_: for clients with tools of other servers."
    ),
]
IdleOption = Annotated[
    float,
    typer.Option("--idle-limit", min=1.0, help="Seconds without a call after which an episode on the lab is ended."),
]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(mcp)


def mcp(
    world: WorldOption = "sim",
    transport: TransportOption = Transport.STDIO,
    port: PortOption = 8765,
    seed: SeedOption = None,
    episodes: EpisodesOption = 1,
    tier: TierOption = None,
    scenario: ScenarioOption = None,
    record: RecordOption = None,
    lists: ListOption = None,
    tool_prefix: PrefixOption = "",
    idle_limit: IdleOption = 600.0,
    machine: MachineOption = "reference",
    lab: LabOption = "mirr",
    as_json: JsonOption = False,
) -> None:
    """Hold an exam for MCP clients. They get the lab's tools; the first call of an episode begins it."""
    _need_fastmcp()
    from mirr.interfaces.mcp_server.exam import Exam

    where = parse_world(world)
    speed = chosen_machine(machine, where)
    if not _PREFIX.fullmatch(tool_prefix):
        raise typer.BadParameter(
            f"--tool-prefix {quoted(tool_prefix)}: a prefix has at most 32 letters, digits, _ and -, as in lab_."
        )
    questions, config = _set_exam(world_label(where, speed), where, seed, episodes, tier, scenario, record, idle_limit)
    if where is WorldName.DOCKER or speed is not MachineName.REFERENCE:
        # Problems of the lab, or of the profile, are shown to the person who starts the exam, not to the player.
        with open_world(where, lab, what=WHAT, machine=speed):
            pass
    exam = Exam(
        questions,
        config,
        open_world=lambda: open_world(where, lab, what=WHAT, machine=speed),
        new_id=lambda: f"ep-{secrets.token_hex(6)}",
        say=_say,
    )
    listed = transport is Transport.STDIO if lists is None else lists
    with works_on_a_lab(where is WorldName.DOCKER):
        _serve(exam, transport, port, listed=listed, prefix=tool_prefix, as_json=as_json)


def _need_fastmcp() -> None:
    try:
        import fastmcp  # noqa: F401 - only to know whether it is installed
    except ImportError as error:
        _say(f"the MCP server needs fastmcp; next: {HERE.add_extra('mcp')}")
        raise typer.Exit(WRONG_USAGE) from error


def _say(text: str) -> None:
    print(f"mirr: {text}", file=sys.stderr, flush=True)


def _set_exam(
    label: str,
    where: WorldName,
    seed: int | None,
    episodes: int,
    tier: str | None,
    scenario: Path | None,
    record: Path | None,
    idle_limit_s: float,
) -> tuple[list[Question], ExamConfig]:
    """The questions in order, and the settings of the exam."""
    from mirr.env.scenario import checked_seed, draw
    from mirr.env.tiers import TIERS
    from mirr.env.vocabulary import Tier, parse_tier
    from mirr.interfaces.mcp_server.exam import ExamConfig, Question
    from mirr.scenarios.packs import PACK_CONFIG, load_pack

    if record is not None and not os.path.isdir(record):
        raise typer.BadParameter(f"--record {record}: there is no such directory.")
    if scenario is not None and tier is not None:
        raise typer.BadParameter("--scenario says what happens; --tier cannot be given with it.")
    named = Tier.EASY if tier is None else parse_tier(tier)
    pack = None if scenario is None else load_pack(scenario)
    first = checked_seed(seed if seed is not None else pack.seed if pack is not None else 0)
    questions = [
        Question(scenario=draw(number, tier=named), symptom=SYMPTOM)
        if pack is None
        else Question(scenario=pack.scenario(number), symptom=pack.symptom)
        for number in range(first, first + episodes)
    ]
    config = ExamConfig(
        world_name=label,
        episode=TIERS[named].config if pack is None else PACK_CONFIG,
        at_once=1 if where is WorldName.DOCKER else None,
        idle_limit_s=idle_limit_s,
        record_dir=record,
    )
    return questions, config


def _serve(exam: Exam, transport: Transport, port: int, *, listed: bool, prefix: str, as_json: bool) -> None:
    """Serve until the client leaves or a signal comes. Then revert what is broken."""
    from mirr.interfaces.mcp_server.desk import Desk
    from mirr.interfaces.mcp_server.server import build_server
    from mirr.interfaces.mcp_server.transports import AddressTaken, listen, run_http, run_stdio, url

    desk = Desk()
    server = build_server(exam, desk, lists_episodes=listed, prefix=prefix)
    try:
        match transport:
            case Transport.STDIO:
                # stdout belongs to the protocol.
                _announce(exam, None, as_json, _say)
                run_stdio(server)
            case Transport.HTTP:
                listening = listen(port)
                run_http(server, listening, lambda: _announce(exam, url(listening), as_json, _print))
            case _:
                assert_never(transport)
    except AddressTaken as error:
        _say(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    finally:
        desk.close(exam.close)


def _print(text: str) -> None:
    print(text, flush=True)


def _announce(exam: Exam, url: str | None, as_json: bool, say: Callable[[str], None]) -> None:
    """Show the exam's address, and the episode ids to hand out to players."""
    if as_json:
        say(json.dumps({"url": url, "episodes": list(exam.ids)}))
        return
    if url is not None:
        say(f"MCP server at {url}")
    for episode_id in exam.ids:
        say(f"episode {episode_id}")
