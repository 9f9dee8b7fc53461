"""Chooses the host ports that a lab publishes: those that the user asks for, the defaults, or free ones. The lab then
keeps them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mirr.env.quoting import shortened
from mirr.env.vocabulary import Service
from mirr.lab.containers import INSIDE_PORT, LabContainers, Ports, bound_port
from mirr.lab.errors import BadPort, LabError, LabNotUp, PortTaken
from mirr.lab.installation import HERE
from mirr.lab.names import DEFAULT_LAB, LABEL_LAB, Role
from mirr.lab.ownership import sorted_out

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

OUTER_TRIES, OUTER_POLL_S = 40, 0.25  # ten seconds, in which some part of a new lab answers
LONGEST_PORT = 5  # digits
VARIABLES = {
    "gateway": "GATEWAY_PORT",
    "prometheus": "PROMETHEUS_PORT",
    "traffic": "TRAFFIC_PORT",
    "alertmanager": "ALERTMANAGER_PORT",
}
ALERTMANAGER_PORT = 9093  # the default, in a lab that has one


def is_free(port: int) -> bool:
    """Whether nothing on this machine listens on this port of the loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def held_by_lab(containers: LabContainers) -> dict[str, int]:
    """The host ports that the lab's containers already ask for, whether they run or not."""
    return {name: port for name, (port, _) in _held(containers).items()}


def published_by_lab(containers: LabContainers) -> set[int]:
    """The host ports of the lab's containers that run. While one does not run, any program may take its port."""
    return {port for port, running in _held(containers).values() if running}


def _held(containers: LabContainers) -> dict[str, tuple[int, bool]]:
    holders: dict[str, tuple[Role, Callable[[], Container]]] = {
        "gateway": (Role.SANDBOX, lambda: containers.sandbox(Service.GATEWAY)),
        "prometheus": (Role.PROMETHEUS, containers.prometheus),
        "traffic": (Role.TRAFFIC, containers.traffic),
        "alertmanager": (Role.ALERTMANAGER, containers.alertmanager),
    }
    held = {}
    for name, (role, find) in holders.items():
        try:
            found = find()
        except LabNotUp:
            continue
        port = bound_port(found, INSIDE_PORT[role])
        if port is not None:
            held[name] = port, found.status in ("running", "paused")
    return held


def wanted(name: str, environment: Mapping[str, str]) -> int | None:
    """The port that the environment asks for; None if it asks for none."""
    text = environment.get(VARIABLES[name], "")
    if not text:
        return None
    # `isdigit` alone accepts digits of every script, and `int` refuses thousands of them.
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_PORT and 0 < int(text) < 65536):
        raise BadPort(f"{VARIABLES[name]}={shortened(text)} is not a port; set it to a number between 1 and 65535")
    return int(text)


def choose(
    lab: str,
    held: Mapping[str, int],
    *,
    published: Collection[int] | None = None,
    alertmanager: bool = False,
    environment: Mapping[str, str] = os.environ,
    free: Callable[[int], bool] = is_free,
    pick: Callable[[], int] = any_free,
    holder: Callable[[int], str | None] = lambda port: None,
) -> Ports:
    """The lab's ports: those that the environment asks for, else those it holds, else the defaults or free ones.

    `published` are the ports of its containers that run; without it, all do. `alertmanager` says whether the lab has
    one, and so needs a port for it. Raises BadPort or PortTaken."""
    defaults = Ports(alertmanager=ALERTMANAGER_PORT)
    chosen: dict[str, int] = {}
    for name in VARIABLES:
        if name == "alertmanager" and not alertmanager:
            continue
        asked = wanted(name, environment) or held.get(name)
        port = asked or (int(getattr(defaults, name)) if lab == DEFAULT_LAB else _unused(pick, chosen))
        if port in chosen.values():
            raise PortTaken(f"port {port} is asked for twice; set {VARIABLES[name]} to another one")
        is_ours = port == held.get(name) and (published is None or port in published)
        if not is_ours and not free(port):
            raise _taken(lab, name, port, holder(port))
        chosen[name] = port
    return Ports(**chosen)


def chosen_for(containers: LabContainers, *, alertmanager: bool = False) -> Ports:
    """The ports that this lab has or would get now, with an Alertmanager if it has one or is to get one. Raises BadPort
    or PortTaken."""
    held = held_by_lab(containers)
    return choose(
        containers.lab,
        held,
        alertmanager=alertmanager or "alertmanager" in held,
        published=published_by_lab(containers),
        holder=lambda port: holder_among_labs(containers.client, port),
    )


def _unused(pick: Callable[[], int], chosen: Mapping[str, int]) -> int:
    while (port := pick()) in chosen.values():
        continue
    return port


def _taken(lab: str, name: str, port: int, holder: str | None) -> PortTaken:
    by = f"lab {holder}" if holder else "another program"
    up = "up --alertmanager" if name == "alertmanager" else "up"
    instead = HERE.command(up, lab, variables={VARIABLES[name]: port + 1000 if port < 60000 else port - 1000})
    return PortTaken(f"port {port} for the lab's {name} is taken by {by}; choose another: {instead}")


def holder_among_labs(client: DockerClient, port: int) -> str | None:
    """The name of our lab that publishes the host port; None if none does."""
    for row in client.api.containers(filters={"label": LABEL_LAB}):
        lab = str(row["Labels"][LABEL_LAB])
        published = any(one.get("PublicPort") == port for one in row["Ports"])
        if published and sorted_out(client.api, lab, [row])[0]:
            return lab
    return None


def in_a_container() -> bool:
    """Whether this process runs in a container itself."""
    return any(Path(sign).exists() for sign in ("/.dockerenv", "/run/.containerenv"))


def answers(port: int) -> bool:
    """Whether something takes connections at this port of the loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def refuse_outer_engine(
    lab: str,
    chosen: Ports,
    *,
    inside: Callable[[], bool] = in_a_container,
    reached: Callable[[int], bool] = answers,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Raise LabError if this is a container that has the socket of an outer engine, and a loopback of its own."""
    if not inside():
        return
    for _ in range(OUTER_TRIES):
        if any(map(reached, (chosen.gateway, chosen.prometheus, chosen.traffic))):
            return
        sleep(OUTER_POLL_S)
    raise _outer_engine(lab)


def refuse_unreachable(
    containers: LabContainers,
    *,
    inside: Callable[[], bool] = in_a_container,
    reached: Callable[[int], bool] = answers,
) -> None:
    """Raise LabError at once if this is such a container, and the lab has been up for long. A lab whose containers are
    all down is not refused: whoever asks may want to start them."""
    if inside() and (published := published_by_lab(containers)) and not any(map(reached, published)):
        raise _outer_engine(containers.lab)


def _outer_engine(lab: str) -> LabError:
    return LabError(
        f"lab {lab} runs, but its ports do not answer on this loopback: this is a container, and its Docker engine is "
        f"outside of it; start the container with --network host, or run there: {HERE.command('up', lab)}"
    )
