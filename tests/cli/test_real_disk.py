"""A service with a full disk: it answers with errors, it keeps running, and revert repairs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from mirr.bridge.assembly import Parts, assemble, open_docker_world
from mirr.bridge.docker_world import Patience
from mirr.bridge.restoring import SteadyPatience
from mirr.env.objectives import FEATURE_COLUMN, OBJECTIVES, SERVICE_ROW
from mirr.env.vocabulary import Feature, Service
from mirr.lab.footprint import differences
from tests.cli.on_real_lab import assert_steady, made_of, revert, wait_until

pytestmark = pytest.mark.docker

SMALL = {"type": "tmpfs", "device": "tmpfs", "o": "size=12m,uid=10001,gid=10001,mode=0755"}
FULL_FOR_S = 3.0
SOON = Patience(
    steady=SteadyPatience(recreate_after_s=4.0)
)  # the reset gives the service a new container after this time


@contextmanager
def mounted(api: Any, image: str, volume: str) -> Iterator[None]:
    """Keep a volume mounted until the service mounts it. A volume in memory loses its files when nothing mounts it."""
    host = api.create_host_config(binds=[f"{volume}:/data"], network_mode="none")
    holder = api.create_container(image, entrypoint=["sleep", "infinity"], host_config=host)
    api.start(holder["Id"])
    try:
        yield
    finally:
        api.remove_container(holder["Id"], force=True)


def give_a_small_disk(parts: Parts, service: Service) -> None:
    """Replace the service's container by the same one with a volume of a few megabytes."""
    api: Any = parts.containers.client.api  # its stubs leave most methods untyped
    old = api.inspect_container(parts.containers.service(service).id)
    (volume,) = (mount["Name"] for mount in old["Mounts"] if mount["Type"] == "volume")
    labels = api.inspect_volume(volume)["Labels"]
    # Docker refuses these settings for a container that uses the network of another container.
    config = {key: value for key, value in old["Config"].items() if key not in ("Hostname", "ExposedPorts")}
    api.remove_container(old["Id"], force=True)
    api.remove_volume(volume)
    api.create_volume(volume, driver="local", driver_opts=SMALL, labels=labels)
    with mounted(api, old["Config"]["Image"], volume):
        made = api.create_container_from_config(
            config | {"HostConfig": old["HostConfig"]}, name=old["Name"].lstrip("/")
        )
        api.start(made["Id"])


def fill(parts: Parts, service: Service) -> None:
    """Fill the volume as the service's own user."""
    code, output = parts.containers.service(service).exec_run(["dd", "if=/dev/zero", "of=/data/filler", "bs=4096"])
    assert code == 1
    assert b"No space left on device" in output


def test_a_service_with_a_full_disk_answers_with_errors_and_keeps_running_until_it_is_reverted(real_lab: str) -> None:
    before = made_of(real_lab)
    parts = assemble(real_lab)
    give_a_small_disk(parts, Service.PAYMENTS)
    (changed,) = [line for line in differences(before, made_of(real_lab)) if "Options.type" in line]
    assert changed.endswith("was nothing, is tmpfs")
    assert_steady(real_lab)
    fill(parts, Service.PAYMENTS)
    began = parts.containers.service(Service.PAYMENTS).attrs["State"]["StartedAt"]

    def payments() -> dict[Feature, float]:
        row = parts.telemetry.last(2.0).features[SERVICE_ROW[Service.PAYMENTS]]
        return {feature: float(row[FEATURE_COLUMN[feature]]) for feature in Feature}

    wait_until(lambda: payments()[Feature.ERROR_RATIO] > OBJECTIVES.error_ratio, "an error")
    full_until = time.monotonic() + FULL_FOR_S
    while time.monotonic() < full_until:
        assert payments()[Feature.UP] == 1.0
        time.sleep(0.5)  # Prometheus scrapes twice a second
    container = parts.containers.service(Service.PAYMENTS)
    assert (container.status, container.attrs["State"]["StartedAt"]) == ("running", began)
    revert(real_lab)
    print("after mirr revert:", differences(before, made_of(real_lab)))
    # The kill switch may miss the full disk in its ten seconds. The next reset finds it: it waits for steady state.
    with closing(open_docker_world(real_lab, patience=SOON)) as world:
        world.restore(1)
    assert differences(before, made_of(real_lab)) == []
    assert_steady(real_lab)
