"""The audit rules find each weakness that a test adds to the output of the engine or the kernel, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mirr.lab.hardening import container_findings, image_findings, process_findings, secret_texts

Plant = Callable[[dict[str, Any]], object]

CLOSED: dict[str, Any] = {
    "Name": "/mirr_auth_1",
    "Config": {
        "User": "10001:10001",
        "Env": ["SERVICE=auth", "UPSTREAM_AUTH=http://auth:8000", "PATH=/usr/bin"],
        "Labels": {"com.docker.compose.project": "mirr", "com.docker.compose.service": "auth"},
    },
    "HostConfig": {
        "Privileged": False,
        "ReadonlyRootfs": True,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "MaskedPaths": ["/proc/kcore"],
        "Memory": 1 << 27,
        "MemorySwap": 1 << 27,
        "CpuQuota": 15_000,
        "NanoCpus": 0,
        "PidsLimit": 64,
        "NetworkMode": "container:abc",
        "PidMode": "",
        "IpcMode": "private",
        "Devices": None,
        "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        "PublishAllPorts": False,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "2"}},
        "Tmpfs": {"/tmp": "size=16m"},
    },
    "Mounts": [{"Type": "volume", "Name": "mirr_auth-data", "Source": "/var/lib/x", "Destination": "/data"}],
}
SOCKET = {"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock"}
BIND = {"Type": "bind", "Source": "/home/me", "Destination": "/mine"}
VOLUME_OF_ANOTHER_SERVICE = {
    "Type": "volume",
    "Name": "mirr_orders-data",
    "Source": "/var/lib/y",
    "Destination": "/data",
}


def host(**changes: object) -> Plant:
    return lambda inspected: inspected["HostConfig"].update(changes)


def config(**changes: object) -> Plant:
    return lambda inspected: inspected["Config"].update(changes)


def mount(one: dict[str, str]) -> Plant:
    return lambda inspected: inspected["Mounts"].append(one)


PLANTED: list[tuple[Plant, str]] = [
    (config(User=""), "runs as root"),
    (config(User="0:0"), "runs as root"),
    (host(Privileged=True), "is privileged"),
    (host(ReadonlyRootfs=False), "can write to its root file system"),
    (host(CapAdd=["NET_ADMIN"]), "is given capabilities: NET_ADMIN"),
    (host(CapDrop=None), "keeps the engine's default capabilities"),
    (host(SecurityOpt=None), "may gain new privileges"),
    (host(SecurityOpt=["no-new-privileges:false"]), "may gain new privileges"),
    (
        host(SecurityOpt=["no-new-privileges:true", "seccomp=unconfined"]),
        "switches off protection: seccomp=unconfined",
    ),
    (host(MaskedPaths=[]), "switches off protection: masked paths"),
    (host(Memory=0), "has no limit of: memory"),
    (host(MemorySwap=-1), "has no limit of: swap"),
    (host(CpuQuota=0), "has no limit of: CPU"),
    (host(PidsLimit=None), "has no limit of: processes"),
    (host(NetworkMode="host"), "shares the host's namespaces: network"),
    (host(PidMode="host", IpcMode="host"), "shares the host's namespaces: process, IPC"),
    (host(Devices=[{"PathOnHost": "/dev/kmsg"}]), "is given devices: Devices"),
    (host(PortBindings={"1/tcp": [{"HostIp": "", "HostPort": "1"}]}), "publishes beyond the loopback: 0.0.0.0:1"),
    (
        host(PortBindings={"1/tcp": [{"HostIp": "192.0.2.1", "HostPort": "1"}]}),
        "publishes beyond the loopback: 192.0.2.1:1",
    ),
    (host(PublishAllPorts=True), "publishes all its ports"),
    (mount(SOCKET), "mounts the engine's socket: /var/run/docker.sock"),
    (mount(BIND), "mounts what is not its own: /home/me"),
    (mount(VOLUME_OF_ANOTHER_SERVICE), "mounts what is not its own: mirr_orders-data"),
    (host(Tmpfs={"/tmp": "", "/root": ""}), "mounts what is not its own: tmpfs /root"),
    (host(RestartPolicy={"Name": "always"}), "is restarted by the engine: always"),
    (host(LogConfig={"Type": "json-file", "Config": {}}), "may fill the disk with its log"),
    (config(Env=["DB_PASSWORD=hunter2"]), "has a secret in its environment: DB_PASSWORD"),
    (config(Env=["AUTH_TOKEN=x"]), "has a secret in its environment: AUTH_TOKEN"),
    (config(Env=["DATABASE=postgres://me:hunter2@db/shop"]), "has a secret in its environment: DATABASE"),
]


def test_a_container_made_by_the_lab_has_no_finding() -> None:
    assert container_findings(CLOSED) == []


@pytest.mark.parametrize(("plant", "finding"), PLANTED)
def test_a_planted_weakness_is_the_only_finding(plant: Plant, finding: str) -> None:
    inspected = copy.deepcopy(CLOSED)
    plant(inspected)
    assert container_findings(inspected) == [f"mirr_auth_1: {finding}"]


def status(**changes: str) -> str:
    none = dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0000000000000000")
    fields = {"Name": "python3", "Uid": "10001\t10001\t10001\t10001", **none, "NoNewPrivs": "1", "Seccomp": "2"}
    return "".join(f"{key}:\t{value}\n" for key, value in (fields | changes).items())


def test_a_process_with_no_rights_has_no_finding() -> None:
    assert process_findings("auth", status() + status(Name="docker-init")) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"Uid": "10001\t0\t10001\t10001"}, "runs as root"),
        ({"CapEff": "00000000a80425fb"}, "has capabilities (CapEff 00000000a80425fb)"),
        ({"CapBnd": "0000000000000400"}, "has capabilities (CapBnd 0000000000000400)"),
        ({"NoNewPrivs": "0"}, "may gain new privileges"),
        ({"Seccomp": "0"}, "may make any system call"),
    ],
)
def test_a_process_with_more_rights_than_the_others_is_found(change: dict[str, str], finding: str) -> None:
    assert process_findings("auth", status() + status(Name="sly", **change)) == [f"auth: process sly {finding}"]


def test_a_container_whose_processes_cannot_be_examined_does_not_pass() -> None:
    assert process_findings("auth", "") == ["auth: no process could be examined"]


IMAGE = {"RepoTags": ["mirr/auth:1.4.0"], "Config": {"Env": ["SERVICE=auth"]}}
LAYER = {"CreatedBy": "|1 NAME=auth /bin/sh -c python3 -m services.seed auth /data/auth.db"}
HARMLESS_FILES = ["etc/ssl/certs/ca.pem", "opt/packages/certifi/cacert.pem", "usr/lib/python3.11/secrets.py"]


def test_an_image_without_secrets_has_no_finding() -> None:
    assert image_findings(IMAGE, [LAYER], HARMLESS_FILES) == []


def test_secrets_in_an_image_are_found_and_not_repeated() -> None:
    found = image_findings(
        {"RepoTags": ["mirr/auth:1.4.0"], "Config": {"Env": ["API_KEY=hunter2"]}},
        [LAYER, {"CreatedBy": "|1 NPM_TOKEN=hunter2 /bin/sh -c curl -H 'Authorization: Bearer hunter2hunter2'"}],
        [*HARMLESS_FILES, "root/.ssh/id_ed25519", "app/server.key", "app/.env"],
    )
    assert found == [
        "mirr/auth:1.4.0: has a secret in its environment: API_KEY",
        "mirr/auth:1.4.0: has a secret in its environment: NPM_TOKEN",
        "mirr/auth:1.4.0: a layer's command shows an Authorization header",
        "mirr/auth:1.4.0: has a file that looks like a secret: root/.ssh/id_ed25519",
        "mirr/auth:1.4.0: has a file that looks like a secret: app/server.key",
        "mirr/auth:1.4.0: has a file that looks like a secret: app/.env",
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"event": "request", "authorization": "Bearer eyJzdWIiOiAidXNlciJ9"}', "an Authorization header"),
        ('{"token": "eyJzdWIiOiAidXNlci0wMDEifQ==.0f6c1b2a3d4e5f60718293a4b5c6d7e8"}', "a signed token"),
        ('{"body": {"username": "user-001", "password": "hunter2"}}', "a password"),
        ("KeyError: 'user-001-secret'", "a password"),
        (f"28000${'a' * 32}${'b' * 64}", "a password's hash"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
    ],
)
def test_a_secret_in_a_log_line_is_found(line: str, what: str) -> None:
    assert secret_texts("the log of auth", line) == [f"the log of auth shows {what}"]


def test_an_ordinary_log_has_no_finding() -> None:
    lines = (
        '{"event": "request", "route": "/tokens/check", "code": 401, "trace_id": "0af7651916cd43dd8448eb211c80319c"}\n'
        '{"event": "request_failed", "error": "Error: Incorrect padding", "route": "/sessions", "code": 500}'
    )
    assert secret_texts("the log of auth", lines) == []
