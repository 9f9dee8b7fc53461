"""The contexts of the `docker` command, from the one folder that it reads.

docker-py looks for them beside whichever config.json it finds first. If DOCKER_CONFIG names a folder without that file,
it takes those of the user's home, and so perhaps another engine than the `docker` command.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from docker.tls import TLSConfig

DEFAULT = "default"
_TLS_FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


def config_folder() -> Path:
    """The folder of the `docker` command's settings."""
    return Path(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))


def current() -> str:
    """The name of the current context. A config.json that cannot be read chooses none, as for the `docker` command."""
    try:
        chosen = json.loads((config_folder() / "config.json").read_text()).get("currentContext")
    except (OSError, ValueError, AttributeError, RecursionError):
        return DEFAULT
    return chosen if isinstance(chosen, str) and chosen else DEFAULT


def load(name: str) -> Any:  # docker.context.Context, or None; docker-py has no types for it
    """The context of that name. None if there is none. Raises DockerException if it cannot be read."""
    from docker.context import Context, ContextAPI

    if name == DEFAULT:
        return ContextAPI.DEFAULT_CONTEXT
    identity = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    meta = config_folder() / "contexts" / "meta" / identity / "meta.json"
    try:
        endpoints: dict[str, Any] = json.loads(meta.read_text())["Endpoints"]
        context = Context(name, endpoints={key: _as_fields(value) for key, value in endpoints.items()})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DockerException(f"the Docker context {name} cannot be read from {meta}") from error
    files = {key: meta.parents[2] / "tls" / identity / "docker" / file for key, file in _TLS_FILES.items()}
    if all(file.is_file() for file in files.values()):
        ca, cert, key = map(str, files.values())
        verify = not context.endpoints.get("docker", {}).get("SkipTLSVerify", False)
        context.tls_cfg["docker"] = TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=verify or None)
    return context


def _as_fields(endpoint: Any) -> Any:
    return dict(endpoint)  # else it is a TypeError or a ValueError here, and not later
