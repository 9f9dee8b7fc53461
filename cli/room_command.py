"""`mirr room`: the incident room in a browser, on the simulator or on a lab."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mirr.chaos.errors import ChaosError
from mirr.cli.interrupts import works_on_a_lab
from mirr.cli.options import LabOption
from mirr.cli.postmortem_command import explain
from mirr.cli.room_beside import Beside, NotStarted, free_port, running, start
from mirr.cli.worlds import WorldName, open_world, parse_world
from mirr.env.vocabulary import Tier
from mirr.env.world import World, WorldError
from mirr.lab.errors import LabError
from mirr.lab.installation import HERE

if TYPE_CHECKING:
    from mirr.bridge.prometheus import PrometheusReader
    from mirr.room.alerts import Alert

PORT = 8090
_LEAST_TOKEN = 12

WorldOption = Annotated[str, typer.Option("--world", help="Where teams play: sim, or docker, in turn or by vote.")]
HostOption = Annotated[
    str, typer.Option("--host", envvar="HOST", help="The address to listen on. Default: this machine only.")
]
PortOption = Annotated[
    int, typer.Option("--port", envvar="PORT", min=0, max=65535, help="The port; 0 takes a free one.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="A folder for the rooms, so that they outlive a restart.", file_okay=False)
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="MIRR_ROOM_TOKEN",
        help="The trainer's token: who opens a room has to show it. Made if others can reach the server.",
    ),
]
DetachOption = Annotated[
    bool,
    typer.Option("--detach", help="With --world docker: start it beside the lab and return. `mirr down` ends it."),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        envvar="MIRR_ROOM_HOSTS",
        help="A name by which browsers reach this server; may be repeated.",
    ),
]
FramedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--framed-by",
        envvar="MIRR_ROOM_FRAMED_BY",
        help="A site that may show the page inside of its own, like https://huggingface.co; may be repeated.",
    ),
]
ProxyOption = Annotated[
    str, typer.Option("--trust-proxy", help="Addresses of proxies whose headers are believed, separated by commas.")
]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(room)


def room(
    world: WorldOption = "sim",
    host: HostOption = "127.0.0.1",
    port: PortOption = PORT,
    data: DataOption = None,
    token: TokenOption = None,
    allow_host: AllowHostOption = None,
    framed_by: FramedOption = None,
    trust_proxy: ProxyOption = "",
    detach: DetachOption = False,
    lab: LabOption = "mirr",
) -> None:
    """Open the incident room: teams play in a browser, a trainer leads them. Serves until interrupted."""
    name = parse_world(world)
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("websockets") is None:
        raise typer.BadParameter(f"this needs a web server; next: {HERE.add_extra('room')}.")
    from mirr.room.episodes import play_agents
    from mirr.room.guard import checked_site, is_loopback
    from mirr.room.hall import Hall
    from mirr.room.incidents import Choice, incident_of
    from mirr.room.keys import new_token
    from mirr.room.server import CannotServe, ServerConfig, serve
    from mirr.room.store import Store, StoreError
    from mirr.room.worlds import WorldSource

    if token is not None and len(token) < _LEAST_TOKEN:
        raise typer.BadParameter(f"--token has at least {_LEAST_TOKEN} letters, or it can be guessed.")
    if not host.strip():
        raise typer.BadParameter("--host is empty; leave it out, and only this machine can reach the room.")
    if detach and name is not WorldName.DOCKER:
        raise typer.BadParameter("--detach is for the room beside a lab: it needs --world docker.")
    if detach or (name is WorldName.DOCKER and data is None and port == PORT):
        beside = _beside(lab, port, host) if detach else running(lab)
        if beside is not None:
            print(f"incident room on {beside.address} (world docker); open it in a browser", flush=True)
            return
    made = token is None and not is_loopback(host)
    asked = new_token() if made else token
    try:
        framers = tuple(checked_site(site) for site in framed_by or ())
    except ValueError as error:
        raise typer.BadParameter(f"--framed-by: {error}.") from error
    config = ServerConfig(
        host=host,
        port=port,
        token=asked,
        allow_hosts=tuple(allow_host or ()),
        framed_by=framers,
        proxies=trust_proxy.strip(),
    )
    real = name is WorldName.DOCKER
    source = WorldSource(
        name=name, open=partial(_opened, name, lab), shared=real, alerts=LabAlerts(lab) if real else None
    )
    with open_world(WorldName.SIM, lab):
        # What has to be compiled or read is, before anybody waits for it.
        play_agents(incident_of(Choice(seed=0, tier=Tier.EASY)))
    try:
        store = Store(_file_in(data))
    except StoreError as error:
        raise typer.BadParameter(f"{error}.") from error
    hall = Hall(store, explain=explain, source=source)
    for sentence in hall.lost:
        print(f"mirr: {sentence}", flush=True)
    try:
        with works_on_a_lab(real):
            serve(hall, config, partial(_announce, name, asked, made))
    except CannotServe as error:
        raise typer.BadParameter(f"{error}.") from error
    finally:
        hall.close()


def _beside(lab: str, port: int, host: str) -> Beside:
    """The room beside a lab, which is started if it does not run. It listens on this machine only."""
    from mirr.room.guard import is_loopback

    if not is_loopback(host):
        raise typer.BadParameter("--detach is for this machine alone; for others: mirr room --world docker --host.")
    try:
        return start(lab, ["--host", host, "--port", str(free_port(port))])
    except NotStarted as error:
        raise typer.BadParameter(f"the room did not start: {error}") from error


def _announce(name: WorldName, token: str | None, made: bool, address: str) -> None:
    print(f"incident room on {address} (world {name}); open it in a browser", flush=True)
    if made:
        print(f"others can reach it, so it asks for the trainer's token: {token}", flush=True)
    elif token is not None:
        print("it asks for the trainer's token that you gave", flush=True)


@contextmanager
def _opened(name: WorldName, lab: str) -> Iterator[World]:
    """A world, or NotOpened with the reason."""
    from mirr.room.worlds import NotOpened

    with ExitStack() as stack:
        try:
            world = stack.enter_context(open_world(name, lab, what="mirr room"))
        except (LabError, ChaosError, WorldError) as error:
            raise NotOpened(str(error)) from error
        yield world


class LabAlerts:
    """What the lab's Prometheus has as pending or firing. It is found once, and again after it was silent."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._reader: PrometheusReader | None = None

    def __call__(self) -> tuple[Alert, ...]:
        """The alerts now. Raises WorldError."""
        from mirr.bridge.assembly import prometheus_of
        from mirr.room.alerts import Alert

        reader, self._reader = self._reader, None
        try:
            reader = reader or prometheus_of(self._lab)
            fired = reader.alerts()
        except LabError as error:
            raise WorldError(str(error)) from error
        self._reader = reader
        return tuple(
            Alert(name=each.name, service=each.service, severity=each.severity, state=each.state) for each in fired
        )


def _file_in(data: Path | None) -> Path | None:
    if data is None:
        return None
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise typer.BadParameter(f"--data {data}: {error.strerror}.") from error
    return data / "rooms.sqlite"
