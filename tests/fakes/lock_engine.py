"""A fake engine that keeps the locks of labs: it gives a name to one container, and nothing in it ever starts."""

from __future__ import annotations

import itertools
from typing import Any, cast

from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from requests import Response

IMAGE = {"Id": "sha256:image", "RepoTags": ["mirr/traffic:lab"]}


def refused(status: int, explanation: str) -> APIError:
    """An error of the engine with that HTTP status."""
    answer = Response()
    answer.status_code = status
    return APIError(explanation, response=answer, explanation=explanation)


class LockEngine:
    """Both a client and its low-level API, as far as locks need them. Keys of `held` are ids."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.listed: list[dict[str, Any]] = [IMAGE]
        self.fails_with: Exception | None = None
        self.acts: list[str] = []
        self._ids = itertools.count(1)

    @property
    def client(self) -> DockerClient:
        """This engine, with the type that the lab's functions take."""
        return cast("DockerClient", self)

    @property
    def api(self) -> LockEngine:
        return self

    def images(self, **_: object) -> list[dict[str, Any]]:
        return list(self.listed)

    def inspect_image(self, name: str) -> dict[str, Any]:
        for image in self.listed:
            if name in (image["RepoTags"] or ()):
                return image
        raise ImageNotFound(f"no such image: {name}")

    def create_container_from_config(self, config: dict[str, Any], *, name: str) -> dict[str, str]:
        self._act(f"create {name}")
        if any(one["Name"] == f"/{name}" for one in self.held.values()):
            raise refused(409, f"the container name {name} is already in use")
        if config["Image"] not in {image["Id"] for image in self.listed}:
            raise ImageNotFound("no such image")
        key = f"id-{next(self._ids)}"
        host = {"CpuShares": 0, **config["HostConfig"]}
        self.held[key] = {"Id": key, "Name": f"/{name}", "Config": {"Labels": config["Labels"]}, "HostConfig": host}
        return {"Id": key}

    def inspect_container(self, name: str) -> dict[str, Any]:
        return self._one(name)

    def update_container(
        self, name: str, *, restart_policy: dict[str, object] | None = None, cpu_shares: int | None = None
    ) -> None:
        self._act(f"update {name}")
        changes = {"RestartPolicy": restart_policy, "CpuShares": cpu_shares}
        self._one(name)["HostConfig"] |= {key: value for key, value in changes.items() if value is not None}

    def remove_container(self, name: str, *, v: bool, force: bool) -> None:
        self._act(f"remove {name}")
        del self.held[self._one(name)["Id"]]

    def prune(self) -> None:
        """What `docker system prune` does to containers that do not run."""
        self.held.clear()

    def _act(self, act: str) -> None:
        self.acts.append(act)
        if self.fails_with is not None:
            raise self.fails_with

    def _one(self, name: str) -> dict[str, Any]:
        if self.fails_with is not None:
            raise self.fails_with
        for key, one in self.held.items():
            if name in (key, one["Name"].lstrip("/")):
                return one
        raise NotFound(f"no such container: {name}")
