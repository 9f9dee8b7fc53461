"""Names and labels of everything that the lab makes. Code finds these things by their labels, never by their names."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from mirr.env.quoting import quoted
from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.lab.errors import BadLabName

ROOT = Path(__file__).parents[1]
"""The package `mirr`. It holds docker-compose.yml, the Dockerfiles and everything that images are built from. In a
checkout these are links. In an installed package they are files and folders."""

DEFAULT_LAB = "mirr"
LABEL_LAB = "mirr.lab"
LABEL_ROLE = "mirr.role"
LABEL_SERVICE = "mirr.service"
LABEL_SOURCE = "mirr.source"  # on images: the hash of everything the image was built from

TRAFFIC_IMAGE = "mirr/traffic:lab"
PROMETHEUS_IMAGE = "mirr/prometheus:lab"
ALERTMANAGER_IMAGE = "mirr/alertmanager:lab"

_LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,20}")


class Role(StrEnum):
    """What a container of the lab is for."""

    SERVICE = "service"
    SANDBOX = "sandbox"  # holds a service's network namespace, as a pod's pause container
    TRAFFIC = "traffic"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"  # only if it was asked for


def parse_lab(name: str) -> str:
    """The name, if a lab can have it. Else raises BadLabName."""
    if not _LAB_NAME.fullmatch(name):
        raise BadLabName(
            f"{quoted(name)} cannot be a lab's name: a lower-case letter, then at most 20 letters, digits or dashes, "
            "as in LAB=mirr-two"
        )
    return name


def service_image(service: Service, release: str = STEADY_RELEASE) -> str:
    """The image of a service's release, e.g. `mirr/auth:1.4.0`."""
    return f"mirr/{service}:{release}"
