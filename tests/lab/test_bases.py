"""Where the base images come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from docker import DockerClient
from docker.errors import APIError

from mirr.lab import bases, debian
from mirr.lab.errors import ImageError
from mirr.lab.progress import SilentProgress

NO_SUCH_HOST = "dial tcp: lookup registry: no such host"


class Heard(SilentProgress):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class FakeImages:
    """A registry that answers, or does not."""

    def __init__(self, *, reachable: bool, present: tuple[str, ...] = ()) -> None:
        self.reachable = reachable
        self.present = present
        self.asked: list[str] = []
        self.pulled: list[str] = []
        self.timeouts: list[float] = []
        self.images = self
        self.api = self
        self.timeout = 60.0

    def get_registry_data(self, reference: str) -> None:
        self.asked.append(reference)
        self.timeouts.append(self.timeout)
        if not self.reachable:
            raise APIError("500 Server Error", explanation=NO_SUCH_HOST)

    def pull(self, repository: str, *, tag: str) -> None:
        self.pulled.append(f"{repository}:{tag}")

    def __call__(self, *, name: str) -> list[str]:
        return [tag for tag in self.present if tag == name]

    @property
    def client(self) -> DockerClient:
        return cast("DockerClient", _Client(self))


class _Client:
    def __init__(self, images: FakeImages) -> None:
        self.images = images
        self.api = _Api(images)


class _Api:
    """The low-level half: `timeout` can be set, `images` is a question."""

    def __init__(self, images: FakeImages) -> None:
        self.__dict__["_images"] = images

    def __getattr__(self, name: str) -> Any:
        return self._images if name == "images" else getattr(self._images, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._images, name, value)


def test_a_base_that_is_there_asks_no_registry() -> None:
    images = FakeImages(reachable=False, present=(bases.PYTHON_FROM_REGISTRY,))
    report = Heard()
    registry = bases.Registry(images.client, report)
    assert bases.python_base(images.client, registry, report) == bases.PYTHON_FROM_REGISTRY
    assert images.asked == []


def test_where_a_registry_answers_the_usual_image_is_pulled() -> None:
    images = FakeImages(reachable=True)
    report = Heard()
    assert bases.Registry(images.client, report).pull(bases.PYTHON_FROM_REGISTRY)
    assert images.pulled == [bases.PYTHON_FROM_REGISTRY]


def test_the_registry_is_asked_with_a_short_deadline_and_the_usual_one_comes_back() -> None:
    images = FakeImages(reachable=False)
    bases.Registry(images.client, Heard()).pull(bases.PYTHON_FROM_REGISTRY)
    assert images.timeouts == [bases.REGISTRY_DEADLINE_S]
    assert images.timeout == 60.0


def test_a_registry_out_of_reach_is_asked_once_and_told_of_in_one_line() -> None:
    images = FakeImages(reachable=False)
    report = Heard()
    registry = bases.Registry(images.client, report)
    assert not registry.pull(bases.PYTHON_FROM_REGISTRY)
    assert not registry.pull(bases.PROMETHEUS_FROM_REGISTRY)
    assert images.asked == [bases.PYTHON_FROM_REGISTRY]
    assert report.lines == [
        f"the image registry does not serve {bases.PYTHON_FROM_REGISTRY} ({NO_SUCH_HOST}); "
        "using Debian packages instead"
    ]


def test_without_registry_and_without_debian_it_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "can_install", lambda: False)
    images = FakeImages(reachable=False)
    report = Heard()
    with pytest.raises(ImageError) as raised:
        bases.python_base(images.client, bases.Registry(images.client, report), report)
    assert str(raised.value) == (
        "no image registry serves python:3.11-slim-bookworm, and base images can be built without one only as root "
        "on a Debian-family system; see what the engine says to: docker pull python:3.11-slim-bookworm"
    )


def test_the_debian_base_is_known_by_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bases.debian_python_tag("bookworm")
    assert bases.debian_python_tag("bookworm") == before
    assert bases.debian_python_tag("trixie") != before
    monkeypatch.setattr(bases, "PYTHON_PACKAGES", (*bases.PYTHON_PACKAGES, "tzdata"))
    assert bases.debian_python_tag("bookworm") != before


def test_the_file_system_is_made_of_the_machines_own_suite_and_sources() -> None:
    suite = debian.Suite(codename="bookworm", sources="deb http://mirror bookworm main\n")
    command = bases.mmdebstrap_command(Path("base.tar"), suite)
    assert command[-3:] == ["bookworm", "base.tar", "-"]
    assert "--variant=extract" in command
    assert not any("http" in part for part in command)
