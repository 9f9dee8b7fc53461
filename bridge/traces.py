"""The traces that an episode could leave in a lab: in containers, in the load generator, in the journal."""

from __future__ import annotations

from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from mirr.bridge.assembly import Parts
from mirr.env.world import WorldError
from mirr.lab.footprint import LAB, Footprint, flat, look
from mirr.lab.loopback import direct_session
from mirr.lab.refusals import in_words

_TIMEOUT_S = 3.0


def traces(parts: Parts) -> Footprint:
    """Everything that a fault, a fix or a restore could change for ever. Raises WorldError if it cannot be read."""
    containers = parts.containers
    try:
        found = look(containers.client, containers.lab)
    except (DockerException, RequestException) as error:
        raise WorldError(
            f"could not look at what lab {containers.lab} is made of: {in_words(error)}; next: mirr doctor"
        ) from error
    faults = [str(fault) for fault in parts.chaos.open_faults()]
    sent = {"campaigns": campaigns(containers.traffic_url), "users come": level(containers.traffic_url)}
    return found | {LAB: flat(sent | {"open faults": faults})}


def campaigns(traffic_url: str) -> list[str]:
    """The campaigns that the load generator runs, as texts. Raises WorldError if it does not answer."""
    found = _asked(traffic_url, "campaigns")["campaigns"]
    return sorted(f"{one['kind']}:{one['service']} at {one['rate_per_s']:g}/s" for one in found)


def level(traffic_url: str) -> float:
    """How often users come, times the usual rate. Raises WorldError if the load generator does not answer."""
    return float(_asked(traffic_url, "traffic")["level"])


def _asked(traffic_url: str, path: str) -> dict[str, Any]:
    try:
        answer = direct_session().get(f"{traffic_url}/{path}", timeout=_TIMEOUT_S)
        answer.raise_for_status()
    except RequestException as error:
        raise WorldError(
            f"the load generator at {traffic_url} does not answer ({type(error).__name__}); next: mirr up"
        ) from error
    return dict(answer.json())
