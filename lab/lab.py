"""A lab from nothing to running, and back to nothing. What knows of chaos and telemetry is handed in."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirr.env.vocabulary import Service
from mirr.lab import compose, engine, images, ports
from mirr.lab.containers import LabContainers, Ports
from mirr.lab.errors import LabError
from mirr.lab.names import LABEL_ROLE, LABEL_SOURCE, Role, parse_lab
from mirr.lab.ownership import holdings, refuse_foreign_project
from mirr.lab.progress import Progress, timed
from mirr.lab.state import remove_state

if TYPE_CHECKING:
    from docker import DockerClient

STEADY_TIMEOUT_S = 60.0
REMOVALS_AT_ONCE = 8
PARTS = {Role.SERVICE: len(Service), Role.SANDBOX: len(Service), Role.TRAFFIC: 1, Role.PROMETHEUS: 1}
"""How many containers of each kind make a lab."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a lab that is up can be reached."""

    lab: str
    gateway_url: str
    prometheus_url: str
    traffic_url: str

    @classmethod
    def of(cls, lab: str, chosen: Ports) -> Places:
        """The loopback addresses of the published ports."""
        return cls(
            lab=lab,
            gateway_url=f"http://127.0.0.1:{chosen.gateway}",
            prometheus_url=f"http://127.0.0.1:{chosen.prometheus}",
            traffic_url=f"http://127.0.0.1:{chosen.traffic}",
        )


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What `take_down` took away."""

    containers: int
    networks: int
    volumes: int

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes)


def is_whole(containers: LabContainers) -> bool:
    """Whether every container that a lab is made of exists, running or not, and is made from the image of today."""
    found = containers.all()
    roles = [str(one.labels.get(LABEL_ROLE)) for one in found]
    if any(roles.count(role) < number for role, number in PARTS.items()):
        return False
    listed = containers.client.api.images(filters={"label": LABEL_SOURCE})
    today = {tag: str(image["Id"]) for image in listed for tag in image["RepoTags"] or ()}
    return all(today.get(one.attrs["Config"]["Image"]) == one.attrs["Image"] for one in found)


def bring_up(
    lab: str,
    report: Progress,
    *,
    revert: Callable[[str], None],
    wait_until_steady: Callable[[str, float], None],
    remember: Callable[[str], None],
    timeout_s: float = STEADY_TIMEOUT_S,
) -> Places:
    """Engine, images, containers, steady state; whatever is there already is kept. Hold the lab's lock around it.

    `revert` reverts what is injected or was left broken in a lab that is up; `wait_until_steady` returns once the
    lab is in steady state and raises after so many seconds; `remember` then keeps what its containers are made of.
    """
    parse_lab(lab)
    client = engine.ensure(report)
    tool = compose.ensure(report)
    refuse_foreign_project(client, lab)
    images.ensure(client, report)
    containers = LabContainers(client, lab)
    chosen = ports.choose(lab, ports.held_by_lab(containers), holder=lambda port: ports.holder_among_labs(client, port))
    if is_whole(containers):
        # Before Compose: it would find a container that was replaced by hand, and leave it be.
        with timed(report, "reverting what was left injected"):
            revert(lab)
    elif containers.all():
        # The data on the volumes belongs to the images that are gone, or to a redeployment that was cut off.
        report.say(f"lab {lab} is incomplete or made from older images: making it anew")
        take_down(lab, client)
    with timed(report, "starting the containers"):
        compose.up(tool, lab, chosen)
    with timed(report, "waiting for steady state"):
        wait_until_steady(lab, timeout_s)
    remember(lab)
    return Places.of(lab, chosen)


def take_down(lab: str, client: DockerClient) -> Removed:
    """Remove every container, network and volume that is this lab's own, and nothing else."""
    parse_lab(lab)
    api = client.api
    found = holdings(api, lab)
    ids = [str(row["Id"]) for row in found.containers]
    networks = [str(row["Id"]) for row in found.networks]
    volumes = [str(row["Name"]) for row in found.volumes]
    with ThreadPoolExecutor(max_workers=REMOVALS_AT_ONCE) as pool:
        list(
            pool.map(lambda one: _remove("container", one, lambda: api.remove_container(one, v=True, force=True)), ids)
        )
        list(pool.map(lambda one: _remove("network", one, lambda: api.remove_network(one)), networks))
        list(pool.map(lambda one: _remove("volume", one, lambda: api.remove_volume(one, force=True)), volumes))
    remove_state(lab)
    return Removed(containers=len(ids), networks=len(networks), volumes=len(volumes))


def _remove(kind: str, name: str, act: Callable[[], object]) -> None:
    from docker.errors import APIError, NotFound

    try:
        act()
    except NotFound:
        return  # somebody else took it away: it is gone, which is what was asked for
    except APIError as error:
        if error.status_code == 409 and "already in progress" in str(error.explanation):
            return
        raise LabError(
            f"{kind} {name} of the lab could not be removed: {error.explanation or error}; "
            f"remove what uses it, then: make down"
        ) from error
