"""Brings a lab up from nothing, and takes it down completely. Callers pass in what needs chaos or telemetry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirr.env.vocabulary import Service
from mirr.lab import alerting, compose, engine, images, ports, which_engine
from mirr.lab.containers import LabContainers, Ports
from mirr.lab.errors import LabError
from mirr.lab.installation import HERE
from mirr.lab.names import LABEL_ROLE, LABEL_SOURCE, Role, parse_lab
from mirr.lab.ownership import holdings, own_networks, refuse_foreign_project
from mirr.lab.progress import Progress, timed
from mirr.lab.refusals import is_being_removed
from mirr.lab.state import remove_state
from mirr.lab.suitable import refuse_unsuitable

if TYPE_CHECKING:
    from docker import DockerClient

STEADY_TIMEOUT_S = 60.0
REMOVALS_AT_ONCE = 8
PARTS = {Role.SERVICE: len(Service), Role.SANDBOX: len(Service), Role.TRAFFIC: 1, Role.PROMETHEUS: 1}
"""How many containers of each kind make a lab. An Alertmanager comes on top, if it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The addresses of a lab that is up."""

    lab: str
    gateway_url: str
    prometheus_url: str
    traffic_url: str
    alertmanager_url: str | None  # None if the lab has none

    @classmethod
    def of(cls, lab: str, chosen: Ports) -> Places:
        """The published ports as addresses on the loopback."""
        return cls(
            lab=lab,
            gateway_url=f"http://127.0.0.1:{chosen.gateway}",
            prometheus_url=f"http://127.0.0.1:{chosen.prometheus}",
            traffic_url=f"http://127.0.0.1:{chosen.traffic}",
            alertmanager_url=None if chosen.alertmanager is None else f"http://127.0.0.1:{chosen.alertmanager}",
        )


@dataclass(frozen=True, kw_only=True)
class Removed:
    """How many things `take_down` removed."""

    containers: int
    networks: int
    volumes: int

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes)


def is_whole(containers: LabContainers) -> bool:
    """Whether a lab's network and all its containers exist, running or not, made from the current images."""
    found = containers.all()
    if not own_networks(containers.client.api, containers.lab):
        return False
    roles = [str(one.labels.get(LABEL_ROLE)) for one in found]
    if any(roles.count(role) < number for role, number in PARTS.items()):
        return False
    listed = containers.client.api.images(filters={"label": LABEL_SOURCE})
    current = {tag: str(image["Id"]) for image in listed for tag in image["RepoTags"] or ()}
    return all(current.get(one.attrs["Config"]["Image"]) == one.attrs["Image"] for one in found)


def bring_up(
    lab: str,
    report: Progress,
    *,
    revert: Callable[[str], None],
    wait_until_steady: Callable[[str, float], None],
    remember: Callable[[str], None],
    hold: Callable[[DockerClient], None],
    timeout_s: float = STEADY_TIMEOUT_S,
    alertmanager: bool = False,
) -> Places:
    """Bring the lab to steady state: engine, images, containers. Existing things stay. Hold the lab on this machine.
    `hold` holds it in its engine, once there is one, and again when there are images.
    `revert` reverts what was injected or left broken in a lab that is up. `wait_until_steady` takes the lab and a limit
    in seconds; it returns once the lab is in steady state and raises when the limit is over. `remember` notes how the
    containers were made. `alertmanager` adds an Alertmanager, which the lab then keeps until it is taken down.
    Raises LabError.
    """
    parse_lab(lab)
    HERE.refuse_if_damaged()
    which_engine.refuse_elsewhere()
    client = engine.ensure(report)
    refuse_unsuitable(client)
    hold(client)
    tool = compose.ensure(report)
    refuse_foreign_project(client, lab)
    containers = LabContainers(client, lab)
    alertmanager = alertmanager or containers.has_alertmanager()
    images.ensure(client, report, alertmanager=alertmanager)
    hold(client)  # without an image, it could not hold before
    held, chosen = ports.held_by_lab(containers), ports.chosen_for(containers, alertmanager=alertmanager)
    before = {str(one.id) for one in containers.all()} if is_whole(containers) else set()
    if before:
        # This comes before Compose runs, because Compose would keep a container that somebody replaced by hand.
        moved = any(getattr(chosen, name) != port for name, port in held.items())
        with timed(report, "reverting what was left injected"):
            try:
                revert(lab)
            except LabError:
                # A container that is down cannot start if somebody took its port. Compose makes it anew for the other
                # port, and the revert after that does the rest.
                if not moved:
                    raise
    elif containers.all():
        # The data on the volumes comes from older images, or from a deploy that was interrupted.
        report.say(f"lab {lab} is incomplete or made from older images: recreating it")
        take_down(lab, client)
    with timed(report, "starting the containers"):
        compose.up(tool, lab, chosen)
    ports.refuse_outer_engine(lab, chosen)
    if before - {str(one.id) for one in containers.all()}:
        # Compose made a container anew, for another port say. If it is a sandbox, its service still lives in the old
        # one, and Compose does not see that.
        with timed(report, "moving the services into new sandboxes"):
            remember(lab)
            revert(lab)
    with timed(report, "waiting for steady state"):
        wait_until_steady(lab, timeout_s)
    if alertmanager:
        with timed(report, "waiting for Alertmanager"):
            alerting.announce(containers)
            alerting.wait_until_alerts_arrive(containers)
    remember(lab)
    return Places.of(lab, chosen)


def take_down(lab: str, client: DockerClient) -> Removed:
    """Remove every container, network and volume that belongs to this lab, and nothing else. Raises LabError."""
    parse_lab(lab)
    api = client.api
    found = holdings(api, lab)
    ids = [str(row["Id"]) for row in found.containers]
    networks = [str(row["Id"]) for row in found.networks]
    volumes = [str(row["Name"]) for row in found.volumes]
    with ThreadPoolExecutor(max_workers=REMOVALS_AT_ONCE) as pool:
        list(
            pool.map(
                lambda one: _remove(lab, "container", one, lambda: api.remove_container(one, v=True, force=True)), ids
            )
        )
        list(pool.map(lambda one: _remove(lab, "network", one, lambda: api.remove_network(one)), networks))
        list(pool.map(lambda one: _remove(lab, "volume", one, lambda: api.remove_volume(one, force=True)), volumes))
    remove_state(lab)
    return Removed(containers=len(ids), networks=len(networks), volumes=len(volumes))


def _remove(lab: str, kind: str, name: str, act: Callable[[], object]) -> None:
    from docker.errors import APIError, NotFound

    try:
        act()
    except NotFound:
        return  # somebody else removed it, and that is the goal too
    except APIError as error:
        if is_being_removed(error):
            return
        raise LabError(
            f"{kind} {name} of the lab could not be removed: {error.explanation or error}; "
            f"remove what uses it, then: {HERE.command('down', lab)}"
        ) from error
