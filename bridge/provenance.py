"""What one has to know to repeat a recording: the commit, the machine, the engine, the images, the parameters."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from docker.errors import DockerException
from requests.exceptions import RequestException

from mirr.bridge.calibration.machine_names import MachineName
from mirr.bridge.collect_plays import ProbePace
from mirr.bridge.recording import Facts
from mirr.env.simulator.parameters import Parameters
from mirr.env.vocabulary import Service
from mirr.env.world import WorldError
from mirr.lab.containers import LabContainers
from mirr.lab.refusals import in_words

REFERENCE_PROFILE: str = MachineName.REFERENCE.value
"""The profile of the parameters that are in the repository."""


def commit() -> str:
    """The commit of a checkout; `unknown` for what was installed."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def run_facts(version: str, pace: ProbePace) -> Facts:
    """The machine and the program. `version` is that of mirr."""
    return {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "mirr": version,
        "pace": asdict(pace),
        "machine": {
            "cores": os.cpu_count() or 1,
            "usable_cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
            "architecture": platform.machine(),
            "system": platform.system(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }


def simulator_facts(parameters: Parameters, profile: str = REFERENCE_PROFILE) -> Facts:
    """The parameters, and the name of their profile."""
    return {"profile": profile, "parameters": asdict(parameters)}


def lab_facts(containers: LabContainers) -> Facts:
    """The engine, and the id of every image that the lab runs. Raises WorldError if they cannot be read."""
    try:
        version = containers.client.api.version()
        running = {str(service): containers.service(service) for service in Service}
        running |= {"traffic": containers.traffic(), "prometheus": containers.prometheus()}
        return {
            "lab": containers.lab,
            "engine": {name: version.get(name) for name in ("Version", "ApiVersion", "Os", "Arch", "KernelVersion")},
            "images": {
                name: {"name": one.attrs["Config"]["Image"], "id": one.attrs["Image"]} for name, one in running.items()
            },
        }
    except (DockerException, RequestException) as error:
        raise WorldError(
            f"could not look at what lab {containers.lab} is made of: {in_words(error)}; next: mirr doctor"
        ) from error
