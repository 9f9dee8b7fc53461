"""What only a real engine shows: a load generator that cannot be reached, a lab that was taken apart, an image that was
pruned, and another port."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
import requests

from mirr.bridge.assembly import assemble, assemble_reverter
from mirr.bridge.traces import campaigns
from mirr.chaos.campaigns import CampaignRequest, HttpCampaigns
from mirr.chaos.faults import leak
from mirr.chaos.journal import Journal
from mirr.chaos.reverter import Reverter
from mirr.env.vocabulary import NEXT_RELEASE, Service
from mirr.env.world import WorldError
from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from mirr.lab.footprint import differences
from mirr.lab.loopback import direct_session
from mirr.lab.names import service_image
from mirr.lab.ports import any_free
from mirr.lab.state import state_dir
from tests.cli.on_real_lab import MIRR, REVERT_S, assert_steady, made_of, wait_until

pytestmark = pytest.mark.docker


def mirr(lab: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_PORT") and key != "LAB"}
    return subprocess.run(
        [MIRR, *arguments, "--lab", lab],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment | variables,
    )


@pytest.fixture(autouse=True)
def reverted(real_lab: str) -> Iterator[None]:
    """Revert the lab after each test, so that a failed test does not affect the next one."""
    yield
    assemble_reverter(real_lab).revert()


def test_a_campaign_ends_behind_a_proxy_and_where_the_load_generator_cannot_be_reached(real_lab: str) -> None:
    parts = assemble(real_lab)
    url, journal = parts.containers.traffic_url, Journal(state_dir(real_lab))
    done = mirr(real_lab, "inject", "memory_leak", "payments")
    assert done.returncode == 0, done.stderr
    proxy = f"http://127.0.0.1:{any_free()}"  # nobody listens there
    done = mirr(real_lab, "revert", HTTP_PROXY=proxy, http_proxy=proxy, NO_PROXY="", no_proxy="")
    assert (done.returncode, done.stdout) == (0, "restarted payments\nended 1 campaign(s)\n"), done.stderr
    assert campaigns(url) == []
    # A container that has the engine's socket has a loopback of its own, and the load generator is not there.
    HttpCampaigns(url, direct_session()).start(
        CampaignRequest(kind=leak.SENDS, service=Service.PAYMENTS, rate_per_s=1.0), 60.0
    )
    elsewhere = HttpCampaigns(f"http://127.0.0.1:{any_free()}", direct_session())
    reverter = Reverter(parts.fleet, elsewhere, journal)
    assert reverter.revert() == ["restarted the load generator, which did not answer"]
    wait_until(lambda: _ends(url), "a load generator without campaigns", timeout_s=REVERT_S)


def _ends(traffic_url: str) -> bool:
    try:
        return campaigns(traffic_url) == []
    except WorldError:
        return False  # it still starts


def test_a_lab_that_was_taken_apart_is_put_together(real_lab: str) -> None:
    """A sandbox that `docker restart` gave another network namespace, and containers that left their network."""
    before = made_of(real_lab)
    lab = LabContainers(connect(), real_lab)
    network = lab.client.networks.get(f"{real_lab}_default")
    lab.sandbox(Service.PAYMENTS).restart(timeout=0)
    network.disconnect(lab.sandbox(Service.AUTH), force=True)
    network.disconnect(lab.traffic(), force=True)
    began = time.monotonic()
    done = mirr(real_lab, "revert")
    assert time.monotonic() - began < REVERT_S
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "joined auth's sandbox to its network again",
        "joined the load generator to its network again",
        "restarted payments",
    ]
    assert differences(before, made_of(real_lab)) == []  # it asks the load generator at its published port
    assert_steady(real_lab)
    assert mirr(real_lab, "revert").stdout == "nothing to revert\n"


def test_a_service_keeps_its_container_if_the_image_of_a_release_was_pruned(real_lab: str) -> None:
    client = connect()
    before = LabContainers(client, real_lab).service(Service.AUTH).id
    image = service_image(Service.AUTH, NEXT_RELEASE)
    kept = client.images.get(image)
    kept.tag("mirr-test-kept", "auth")  # so that removing the tag does not remove the image
    try:
        client.images.remove(image)
        done = mirr(real_lab, "inject", "bad_deploy", "auth")
    finally:
        kept.tag(*image.split(":"))
        client.images.remove("mirr-test-kept:auth")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1] == (
        f"mirr: image {image} is missing, so auth of lab {real_lab} was left as it is; "
        f"next: mirr up --lab {real_lab}, which builds it"
    )
    found = LabContainers(client, real_lab).service(Service.AUTH)
    assert (found.id, found.status) == (before, "running")
    assert Journal(state_dir(real_lab)).open_acts() == []


def test_up_with_another_port_moves_the_gateway_into_its_new_sandbox(real_lab: str) -> None:
    lab = LabContainers(connect(), real_lab)
    first, other = lab.ports.gateway, any_free()
    try:
        done = mirr(real_lab, "up", GATEWAY_PORT=str(other))
        assert done.returncode == 0, done.stderr
        assert requests.get(f"http://127.0.0.1:{other}/healthz", timeout=2).status_code == 200
    finally:
        done = mirr(real_lab, "up", GATEWAY_PORT=str(first))
    assert done.returncode == 0, done.stderr
    assert lab.ports.gateway == first
    assert mirr(real_lab, "revert").stdout == "nothing to revert\n"
