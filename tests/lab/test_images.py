"""An image that cannot be built: the error says why, and what to do."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker import DockerClient
from docker.credentials.errors import StoreError

from mirr.env.vocabulary import Service
from mirr.lab import bases
from mirr.lab.errors import ImageError
from mirr.lab.images import _build, ensure_release, runtime_build
from mirr.lab.names import LABEL_SOURCE
from mirr.lab.sources import Build


class EngineOfAUserWithoutHelper:
    """An engine's client. Docker's config.json names a credential helper that is not installed."""

    def __init__(self) -> None:
        self.api = NoImages()
        self.images = NoHelper()


class NoImages:
    """The engine's own API."""

    def images(self, *, name: str) -> list[Any]:
        return []


class NoHelper:
    """What builds images. It reads the credentials first."""

    def build(self, **_: Any) -> Any:
        raise StoreError("docker-credential-desktop not installed or not available in PATH")


def test_a_missing_credential_helper_is_named_with_its_remedy() -> None:
    client = cast("DockerClient", EngineOfAUserWithoutHelper())
    with pytest.raises(ImageError) as raised:
        _build(client, Build(tag="mirr/auth:1.4.0", dockerfile="FROM scratch"))
    assert str(raised.value) == (
        "mirr/auth:1.4.0 could not be built: the credential helper of Docker's config.json does not work "
        "(docker-credential-desktop not installed or not available in PATH); "
        "next: install it, or remove credsStore and credHelpers from that file"
    )


class EngineWithSomeImages:
    """An engine's client that has images by tag, and builds what it is asked for."""

    def __init__(self, *tags: str) -> None:
        self.labels: dict[str, dict[str, str]] = {tag: {} for tag in tags}
        self.built: list[str] = []
        self.api = self
        self.images = Images(self)


class Images:
    """What lists and builds images, for both of docker-py's clients."""

    def __init__(self, engine: EngineWithSomeImages) -> None:
        self._engine = engine

    def __call__(self, name: str = "", filters: dict[str, str] | None = None) -> list[Any]:
        labels = self._engine.labels
        found = [tag for tag in labels if (tag == name if filters is None else filters["label"] in labels[tag])]
        return [{"Id": tag, "RepoTags": [tag], "Labels": labels[tag]} for tag in found]

    def build(self, *, tag: str, labels: dict[str, str], **_: Any) -> Any:
        self._engine.labels[tag] = labels
        self._engine.built.append(tag)
        return type("Built", (), {"id": tag}), []


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> str:
    """The base image that the lab was built on, whatever machine this is."""
    monkeypatch.setattr(bases, "python_version", lambda *_: "3.11")
    monkeypatch.setattr(bases, "engine_architecture", lambda _: "amd64")
    return bases.PYTHON_FROM_REGISTRY


def test_a_release_that_the_lab_does_not_have_is_built_once(python: str) -> None:
    engine = EngineWithSomeImages(python, runtime_build(python, "3.11", "amd64").tag)
    client = cast("DockerClient", engine)
    assert ensure_release(client, Service.AUTH, "1.5.0-slow-mild")
    assert not ensure_release(client, Service.AUTH, "1.5.0-slow-mild")
    assert engine.built == ["mirr/auth:1.5.0-slow-mild"]


def test_a_release_is_built_again_after_its_sources_have_changed(python: str) -> None:
    engine = EngineWithSomeImages(python, runtime_build(python, "3.11", "amd64").tag)
    client = cast("DockerClient", engine)
    ensure_release(client, Service.AUTH, "1.5.0-slow-mild")
    engine.labels["mirr/auth:1.5.0-slow-mild"] = {LABEL_SOURCE: "older"}
    assert ensure_release(client, Service.AUTH, "1.5.0-slow-mild")


@pytest.mark.parametrize("has_python", [True, False])
def test_a_release_cannot_be_built_without_the_runtime_of_the_lab(python: str, has_python: bool) -> None:
    client = cast("DockerClient", EngineWithSomeImages(*([python] if has_python else [])))
    with pytest.raises(ImageError) as raised:
        ensure_release(client, Service.AUTH, "1.5.0-slow-mild")
    assert str(raised.value) == "there is no runtime image to build mirr/auth:1.5.0-slow-mild on; next: mirr up"
