"""Alertmanager groups the alerts of its lab and tells nobody, Prometheus finds it, and it goes with its lab."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mirr.lab.alerting import TARGETS
from mirr.lab.bases import ALERTMANAGER_FROM_REGISTRY, PYTHON_FROM_REGISTRY
from mirr.lab.containers import INSIDE_PORT, LabContainers
from mirr.lab.engine import connect
from mirr.lab.names import Role
from mirr.lab.up_and_down import take_down
from tests.cli.on_real_lab import labelled, wait_until
from tests.paths import ROOT

FOLDER = ROOT / "prometheus" / "alertmanager"
CONFIG = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
IMAGE = (FOLDER / "Dockerfile").read_text()
ALERTING = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())["alerting"]
LAB = "mirr-test-alerts"
MIRR = str(Path(sys.executable).with_name("mirr"))
ALERT_WITHIN_S = 30.0


def test_alerts_are_grouped_by_name_and_service_and_nobody_is_told() -> None:
    assert CONFIG["route"]["group_by"] == ["alertname", "service"]
    assert "routes" not in CONFIG["route"]
    # A receiver with an address would have one more key, as in `webhook_configs`.
    assert CONFIG["receivers"] == [{"name": CONFIG["route"]["receiver"]}]
    assert set(CONFIG) == {"route", "receivers"}


def test_prometheus_looks_up_no_name_until_it_is_told_of_an_alertmanager() -> None:
    ((discovery,),) = [list(one.items()) for one in ALERTING["alertmanagers"]]
    assert discovery == ("file_sd_configs", [{"files": [TARGETS], "refresh_interval": "10s"}])


def test_prometheus_reads_the_file_from_its_volume() -> None:
    (volume,) = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]["volumes"]
    assert str(Path(TARGETS).parent) == volume.partition(":")[2]


def test_the_image_has_the_pinned_versions_listens_at_its_port_and_looks_for_no_peers() -> None:
    assert re.findall(r"^ARG (\w+)=(\S+)$", IMAGE, re.MULTILINE) == [
        ("BASE", ALERTMANAGER_FROM_REGISTRY),
        ("RUNTIME", PYTHON_FROM_REGISTRY),
    ]
    port = INSIDE_PORT[Role.ALERTMANAGER].removesuffix("/tcp")
    assert f'"--web.listen-address=0.0.0.0:{port}"' in IMAGE
    assert '"--cluster.listen-address="' in IMAGE
    assert "VOLUME" not in IMAGE


def mirr(*arguments: str) -> str:
    """What `mirr` prints to stdout for the lab of this module."""
    done = subprocess.run([MIRR, *arguments, "--lab", LAB], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"mirr {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def down_at(address: str) -> set[str]:
    """The services of which Alertmanager has the alert ServiceDown."""
    found: list[dict[str, Any]] = httpx.get(
        f"{address}/api/v2/alerts", params={"filter": 'alertname="ServiceDown"'}, timeout=10
    ).json()
    return {str(alert["labels"]["service"]) for alert in found}


@pytest.mark.docker
@pytest.mark.usefixtures("machine_to_itself")
def test_alertmanager_gets_the_alerts_of_its_lab_and_goes_with_it() -> None:
    client = connect()
    take_down(LAB, client)
    try:
        address = json.loads(mirr("up", "--alertmanager", "--json"))["alertmanager_url"]
        made = LabContainers(client, LAB).alertmanager()
        checked = made.exec_run(["amtool", "check-config", "/etc/alertmanager/alertmanager.yml"])
        assert checked.exit_code == 0, checked.output
        checks = {check["code"]: check["status"] for check in json.loads(mirr("doctor", "--json"))["checks"]}
        about = ("lab", "strangers", "wiring", "hardening", "ports")
        assert {code: checks[code] for code in about} == dict.fromkeys(about, "pass")
        wait_until(lambda: down_at(address) == set(), "the end of the alerts of the boot", ALERT_WITHIN_S)
        mirr("inject", "crashed", "auth")
        wait_until(lambda: down_at(address) == {"auth"}, "the alert at Alertmanager", ALERT_WITHIN_S)
        # Without the flag, `up` keeps it, and reverts the fault.
        assert json.loads(mirr("up", "--json"))["alertmanager_url"] == address
        assert LabContainers(client, LAB).alertmanager().id == made.id
        wait_until(lambda: down_at(address) == set(), "the end of the alert", ALERT_WITHIN_S)
    finally:
        removed = mirr("down")
    assert removed.startswith(f"lab {LAB} is gone: 13 containers, 1 networks, 6 volumes")
    assert labelled(client, LAB) == []
