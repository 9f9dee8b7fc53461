"""The running lab: every container has only the rights that it needs, and no container shows a secret."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from docker import DockerClient
from docker.models.containers import Container

from mirr.env.vocabulary import Service
from mirr.lab.containers import LabContainers
from mirr.lab.doctor import Check, Verdict, examine
from mirr.lab.hardening import container_findings, image_findings, process_findings, secret_texts
from mirr.lab.names import PROMETHEUS_IMAGE, TRAFFIC_IMAGE, Role, service_image
from mirr.lab.releases import RELEASES

pytestmark = pytest.mark.docker

IMAGES = [*(service_image(service, release) for service in Service for release in RELEASES), TRAFFIC_IMAGE]
STATUSES = ["sh", "-c", "cat /proc/[0-9]*/status"]
CLOSED: dict[str, Any] = {
    "user": "10001:10001",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "32m",
    "memswap_limit": "32m",
    "cpu_period": 50_000,
    "cpu_quota": 5_000,
    "pids_limit": 16,
    "log_config": {"type": "json-file", "config": {"max-size": "1m", "max-file": "1"}},
}


def run(container: Container, *command: str) -> tuple[int, str]:
    code, output = container.exec_run(list(command))
    assert isinstance(output, bytes)
    return int(code or 0), output.decode("utf-8", errors="replace")


def test_the_engine_shows_every_container_as_closed(lab: LabContainers) -> None:
    containers = lab.all()
    assert len(containers) == 12
    assert [finding for one in containers for finding in container_findings(one.attrs)] == []


def test_doctor_reports_that_every_container_is_closed(lab: LabContainers) -> None:
    checks = {check.code: check for check in examine(lab.lab, lambda _: [])}
    assert checks["hardening"] == Check(code="hardening", status=Verdict.PASS, text="every container is closed")


def test_the_kernel_shows_that_no_process_has_rights(lab: LabContainers) -> None:
    found = [finding for one in lab.all() for finding in process_findings(str(one.name), run(one, *STATUSES)[1])]
    assert found == []


@pytest.mark.parametrize("path", ["/app/x", "/etc/x", "/opt/packages/x", "/x"])
def test_a_container_can_write_only_to_its_data_and_tmp(lab: LabContainers, path: str) -> None:
    for one in (lab.service(Service.AUTH), lab.sandbox(Service.GATEWAY), lab.traffic(), lab.prometheus()):
        code, output = run(one, "sh", "-c", f"echo x > {path}")
        assert code != 0, f"{one.name} can write {path}"
        # A path that does not exist in this image cannot be written either.
        assert any(why in output for why in ("Read-only file system", "Permission denied", "nonexistent")), output


def test_no_container_can_reach_the_engine(lab: LabContainers) -> None:
    for one in lab.all():
        assert run(one, "sh", "-c", "ls /var/run/docker.sock /run/docker.sock")[0] != 0
    program = (
        "import socket, sys\n"
        "route = [line.split() for line in open('/proc/net/route')][1:]\n"
        "gateway = next(socket.inet_ntoa(bytes.fromhex(r[2])[::-1]) for r in route if r[1] == '00000000')\n"
        "for port in (2375, 2376):\n"
        "    with socket.socket() as s:\n"
        "        s.settimeout(1)\n"
        "        print(port, s.connect_ex((gateway, port)) == 0)\n"
    )
    assert run(lab.traffic(), "python3", "-c", program) == (0, "2375 False\n2376 False\n")


def test_the_services_have_no_connections_outside_their_own_network(lab: LabContainers) -> None:
    """The lab's network reaches the outside, because it has to publish ports. No service uses this connection."""
    for service in Service:
        settings = next(iter(lab.sandbox(service).attrs["NetworkSettings"]["Networks"].values()))
        own = ipaddress.ip_network(f"{settings['IPAddress']}/{settings['IPPrefixLen']}", strict=False)
        _, table = run(lab.service(service), "cat", "/proc/net/tcp")
        partners = {ipaddress.ip_address(address) for address in _remote_addresses(table)}
        assert partners, f"{service} has no connections, so this test checks nothing"
        assert [str(one) for one in partners if one not in own and not one.is_loopback] == []


def _remote_addresses(table: str) -> Iterator[str]:
    for line in table.splitlines()[1:]:
        address, _, port = line.split()[2].partition(":")
        if int(port, 16):
            yield socket.inet_ntoa(struct.pack("<I", int(address, 16)))


# Secrets


@pytest.mark.parametrize("tag", [*IMAGES, PROMETHEUS_IMAGE])
def test_no_image_holds_a_secret_in_its_environment_or_layers(
    lab: LabContainers, engine: DockerClient, tag: str
) -> None:
    image = engine.images.get(tag)
    assert image_findings(image.attrs, image.history()) == []


def test_no_file_in_an_image_looks_like_a_secret(lab: LabContainers) -> None:
    find = "find / -xdev -type f -not -path '/proc/*' -not -path '/sys/*' 2>/dev/null"
    for one in (lab.service(Service.AUTH), lab.service(Service.PAYMENTS), lab.traffic(), lab.prometheus()):
        paths = run(one, "sh", "-c", find)[1].splitlines()
        if not paths:  # an image without `find`: use Python, which every image of ours has
            walk = "import os; [print(os.path.join(d, f)) for d, _, fs in os.walk('/app') for f in fs]"
            paths = run(one, "python3", "-c", walk)[1].splitlines()
        assert one.image is not None
        assert image_findings(one.image.attrs, (), (path.lstrip("/") for path in paths)) == []


def test_no_log_shows_a_token_or_a_password_that_was_sent(lab: LabContainers) -> None:
    _send_secrets(lab)
    for one in lab.all():
        log = one.logs(tail=3_000).decode("utf-8", errors="replace")
        assert secret_texts(f"the log of {one.name}", log) == []


def _send_secrets(lab: LabContainers) -> None:
    """Send right and wrong passwords, good and bad tokens, in the right and in the wrong places."""
    url, shop = lab.gateway_url, {"zone": 1, "lines": [{"product_id": 1, "quantity": 1}]}
    known = {"username": "user-001", "password": "user-001-secret"}
    token = requests.post(f"{url}/sign-in", json=known, timeout=5).json()["token"]
    assert requests.post(f"{url}/sign-in", json=known | {"password": "wrong-secret"}, timeout=5).status_code == 401
    assert requests.post(f"{url}/sign-in", json=known | {"password": 5}, timeout=5).status_code == 422
    for value, status in ((f"Bearer {token}", 201), (f"Bearer {token}x", 401), (f"Basic {token}", 401)):
        headers = {"Authorization": value, "Idempotency-Key": f"secrets-{value[-12:]}"}
        assert requests.post(f"{url}/check-out", json=shop, headers=headers, timeout=5).status_code == status
    assert requests.get(f"{url}/browse", params={"q": "x", "token": token}, timeout=5).status_code == 200


def test_no_two_labs_and_no_image_share_a_signing_key(lab: LabContainers) -> None:
    read = (
        "import sqlite3, sys\n"
        "with sqlite3.connect('file:/data/%s.db?mode=ro', uri=True) as d:\n"
        '    print(d.execute("SELECT hex(value) FROM signing_keys").fetchone()[0])\n'
    )
    keys = {run(lab.service(one), "python3", "-c", read % one)[1].strip() for one in (Service.AUTH, Service.PAYMENTS)}
    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)
    # The image before any boot: it has the shop's data and no key.
    table = "SELECT count(*) FROM sqlite_master WHERE name = 'signing_keys'"
    fresh = f"import sqlite3; print(sqlite3.connect('/data/auth.db').execute(\"{table}\").fetchone()[0])"
    output = lab.client.containers.run(
        service_image(Service.AUTH), entrypoint=["python3", "-c", fresh], remove=True, network_mode="none"
    )
    assert output.decode().strip() == "0"


# Containers with real weaknesses, which do not belong to the lab


@pytest.fixture
def start(lab: LabContainers, engine: DockerClient) -> Iterator[Callable[..., Container]]:
    """A function that starts a closed container. A test can change some settings. The container belongs to no lab."""
    started: list[Container] = []

    def start_container(**opened: Any) -> Container:
        settings = CLOSED | {"network_mode": "none"} | opened
        one = engine.containers.create(
            service_image(Service.AUTH), entrypoint=["sleep", "60"], stop_signal="SIGKILL", **settings
        )
        started.append(one)
        one.start()
        one.reload()
        return one

    yield start_container
    for one in started:
        one.remove(force=True, v=True)


def test_a_closed_container_passes(start: Callable[..., Container]) -> None:
    one = start()
    assert container_findings(one.attrs) == []
    assert process_findings("it", run(one, *STATUSES)[1]) == []


@pytest.mark.parametrize(
    ("opened", "engine_finding", "process_finding"),
    [
        ({"user": "0:0"}, "runs as root", "runs as root"),
        ({"cap_drop": None, "user": "0:0"}, "keeps the engine's default capabilities", "has capabilities (CapEff"),
        ({"security_opt": ["seccomp=unconfined"]}, "switches off protection", "may make any system call"),
        ({"security_opt": None}, "may gain new privileges", "may gain new privileges"),
        (
            {"cap_drop": None, "cap_add": ["NET_RAW"], "user": "0:0"},
            "is given capabilities: NET_RAW",
            "has capabilities (CapEff",
        ),
    ],
)
def test_a_real_weakness_is_visible_in_the_engine_and_in_the_kernel(
    start: Callable[..., Container], opened: dict[str, Any], engine_finding: str, process_finding: str
) -> None:
    one = start(**opened)
    assert any(engine_finding in finding for finding in container_findings(one.attrs))
    assert any(process_finding in finding for finding in process_findings("it", run(one, *STATUSES)[1]))


def test_a_mounted_engine_socket_and_a_password_in_the_environment_are_found(start: Callable[..., Container]) -> None:
    # /dev/null stands in for the socket: the check looks at the path of the mount, not at the file.
    socket_mount = {"/dev/null": {"bind": "/var/run/docker.sock", "mode": "ro"}}
    one = start(volumes=socket_mount, environment={"DB_PASSWORD": "hunter2"}, read_only=False)
    assert container_findings(one.attrs) == [
        f"{one.name}: can write to its root file system",
        f"{one.name}: mounts the engine's socket: /dev/null",
        f"{one.name}: has a secret in its environment: DB_PASSWORD",
    ]
    assert run(one, "sh", "-c", "echo x > /tmp/x")[0] == 0


def test_a_token_written_to_a_real_log_is_found(start: Callable[..., Container]) -> None:
    one = start()
    line = "eyJzdWIiOiAidXNlci0wMDEifQ==.0f6c1b2a3d4e5f60718293a4b5c6d7e8"
    assert run(one, "sh", "-c", f"echo {line} > /proc/1/fd/1")[0] == 0
    assert secret_texts("its log", one.logs().decode()) == ["its log shows a signed token"]


def test_every_role_of_the_lab_was_checked(lab: LabContainers) -> None:
    # A lab has an Alertmanager only if it was asked for; tests/prometheus/test_alertmanager.py plays with one.
    assert {one.labels["mirr.role"] for one in lab.all()} == set(Role) - {Role.ALERTMANAGER}
