"""Which Docker engine a lab is on: the one of DOCKER_HOST, else of DOCKER_CONTEXT, else of the current context.

The `docker` command, docker-py and Compose read different settings. Everything here is about one answer for all three.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from mirr.lab.errors import EngineError

DEFAULT_SOCKETS = ("unix:///var/run/docker.sock", "http+unix:///var/run/docker.sock")
BENDS_COMPOSE = ("DOCKER_CONTEXT", "DOCKER_DEFAULT_PLATFORM")
"""Variables that the `docker` command reads and docker-py does not. DOCKER_DEFAULT_PLATFORM would ask Compose for
images of another platform than those that we build. COMPOSE_* choose other files and projects."""
SOCKET_SCHEMES = ("unix", "http+unix")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def configured_host() -> str | None:
    """Which engine: DOCKER_HOST, else the host of the Docker context, else None for the default socket."""
    from docker.errors import DockerException

    if host := os.environ.get("DOCKER_HOST"):
        return host
    try:
        return host_of(chosen_context())
    except (DockerException, OSError, ValueError):
        return None


def chosen_context() -> Any:  # docker.context.Context; docker-py has no types for it
    """The context that the `docker` command would use: that of DOCKER_CONTEXT, else the current one.

    Raises DockerException."""
    from docker.errors import DockerException

    from mirr.lab import contexts

    name = os.environ.get("DOCKER_CONTEXT") or contexts.current()
    found = contexts.load(name)
    if found is None:
        whose = "DOCKER_CONTEXT" if os.environ.get("DOCKER_CONTEXT") else "the current Docker context"
        raise DockerException(f"{whose} is {name}, and there is no such context")
    return found


def host_of(context: Any) -> str | None:
    """The address of a context's engine; None for the default socket, or without a context."""
    host = context.Host if context is not None else None
    return str(host) if host and host not in DEFAULT_SOCKETS else None


def engine_name() -> str:
    """One name for the configured engine, whichever of its socket's names was given: users may name it differently."""
    host = configured_host() or DEFAULT_SOCKETS[0]
    scheme, _, path = host.partition("://")
    return os.path.realpath(path) if scheme in SOCKET_SCHEMES else host


def refuse_elsewhere() -> None:
    """Raise EngineError if the engine is on another machine. A lab publishes its ports on the loopback of the engine's
    machine, and nobody could reach them from here."""
    host = configured_host()
    if host is None or _is_local(host):
        return
    raise EngineError(
        f"the Docker engine at {host} (from DOCKER_HOST or the Docker context) is on another machine, and a lab can be "
        "reached only on the machine of its engine; run mirr there, or choose the engine of this machine: "
        "unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"
    )


def _is_local(host: str) -> bool:
    try:
        scheme = urlsplit(host).scheme
    except ValueError:
        return True  # this is no address, and whoever connects says so
    return scheme in (*SOCKET_SCHEMES, "npipe") or is_on_loopback(host)


def is_on_loopback(host: str) -> bool:
    """Whether the address is one of this machine's own, over TCP."""
    return urlsplit(host).hostname in LOOPBACK


def spare_the_loopback(environment: MutableMapping[str, str]) -> None:
    """Let docker-py and Compose 1.29 ask an engine at the loopback without a proxy, as the `docker` command does."""
    for name in ("no_proxy", "NO_PROXY"):
        spared = [one for one in environment.get(name, "").split(",") if one]
        environment[name] = ",".join(dict.fromkeys([*spared, *LOOPBACK]))


def for_compose(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which Compose works on the same engine as we do, and as our own builds do."""
    fresh = {
        name: value
        for name, value in environment.items()
        if not name.startswith("COMPOSE_") and name not in BENDS_COMPOSE
    }
    host = configured_host()
    if host is None or "DOCKER_HOST" in fresh:
        return fresh
    # Compose 1.29 knows no contexts, so it gets the address. A context with certificates has to stay one.
    context = chosen_context()
    return fresh | ({"DOCKER_CONTEXT": str(context.Name)} if tls_of(context) else {"DOCKER_HOST": host})


def tls_of(context: Any) -> Any:
    """The certificates of a context, as docker-py's TLSConfig, or None."""
    from docker.tls import TLSConfig

    return context.TLSConfig if isinstance(context.TLSConfig, TLSConfig) else None
