"""Where the base images come from."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest
from docker import DockerClient
from docker.errors import APIError

from mirr.lab import bases, debian
from mirr.lab.errors import ImageError
from mirr.lab.progress import SilentProgress

NO_SUCH_HOST = "dial tcp: lookup registry: no such host"


class RecordedProgress(SilentProgress):
    """Remembers every line of progress."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class FakeImages:
    """A fake registry. A test decides whether it can be reached."""

    def __init__(self, *, reachable: bool, present: tuple[str, ...] = ()) -> None:
        self.reachable = reachable
        self.present = present
        self.asked: list[str] = []
        self.pulled: list[str] = []
        self.built: list[tuple[str, dict[str, str]]] = []  # tag, and what the context holds
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

    def build(self, *, fileobj: io.BytesIO, tag: str, **_: object) -> None:
        with tarfile.open(fileobj=fileobj) as archive:
            members = {one.name: archive.extractfile(one) for one in archive.getmembers()}
            self.built.append((tag, {name: file.read().decode() for name, file in members.items() if file}))

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
    """The low-level API: the code under test sets `timeout` and calls `images`."""

    def __init__(self, images: FakeImages) -> None:
        self.__dict__["_images"] = images

    def __getattr__(self, name: str) -> Any:
        return self._images if name == "images" else getattr(self._images, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._images, name, value)


def test_the_registry_is_not_asked_for_a_base_image_that_is_present() -> None:
    images = FakeImages(reachable=False, present=(bases.PYTHON_FROM_REGISTRY,))
    report = RecordedProgress()
    registry = bases.Registry(images.client, report)
    assert bases.python_base(images.client, registry, report) == bases.PYTHON_FROM_REGISTRY
    assert images.asked == []


def test_the_usual_image_is_pulled_if_the_registry_answers() -> None:
    images = FakeImages(reachable=True)
    report = RecordedProgress()
    assert bases.Registry(images.client, report).pull(bases.PYTHON_FROM_REGISTRY)
    assert images.pulled == [bases.PYTHON_FROM_REGISTRY]


def test_the_registry_is_asked_with_a_short_timeout_and_then_the_usual_timeout_is_set_again() -> None:
    images = FakeImages(reachable=False)
    bases.Registry(images.client, RecordedProgress()).pull(bases.PYTHON_FROM_REGISTRY)
    assert images.timeouts == [bases.REGISTRY_DEADLINE_S]
    assert images.timeout == 60.0


def test_an_unreachable_registry_is_asked_once_and_reported_in_one_line() -> None:
    images = FakeImages(reachable=False)
    report = RecordedProgress()
    registry = bases.Registry(images.client, report)
    assert not registry.pull(bases.PYTHON_FROM_REGISTRY)
    assert not registry.pull(bases.PROMETHEUS_FROM_REGISTRY)
    assert images.asked == [bases.PYTHON_FROM_REGISTRY]
    assert report.lines == [
        f"the image registry does not serve {bases.PYTHON_FROM_REGISTRY} ({NO_SUCH_HOST}); "
        "using Debian packages instead"
    ]


class Packages:
    """Debian's archive: a package holds some files, and `apt-get` and `dpkg-deb` fetch and unpack it."""

    def __init__(self, package: str, *files: str) -> None:
        self.package, self.files = package, files

    def run(self, command: list[str], *, cwd: Path | None = None) -> None:
        if command[0] == "apt-get":
            assert cwd is not None
            assert command[-1] == self.package
            (cwd / f"{self.package}_1.0_amd64.deb").touch()
            return
        for name in self.files:
            path = Path(command[-1]) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path.name} of {Path(command[2]).name}")


def test_without_a_registry_alertmanager_comes_from_debians_package(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = "usr/share/prometheus/alertmanager"
    archive = Packages(
        "prometheus-alertmanager",
        *("usr/bin/prometheus-alertmanager", "usr/bin/amtool", f"{shared}/default.tmpl", f"{shared}/email.tmpl"),
    )
    monkeypatch.setattr(bases, "_demand_debian", lambda *_: None)
    monkeypatch.setattr(bases, "codename", lambda: "bookworm")
    monkeypatch.setattr(debian, "run", archive.run)
    images, report = FakeImages(reachable=False), RecordedProgress()
    base = bases.alertmanager_base(images.client, bases.Registry(images.client, report), "mirr/python:1", report)
    assert base == bases.debian_alertmanager_tag("bookworm")
    assert images.asked == ["prom/alertmanager:v0.28.1"]
    ((tag, files),) = images.built
    dockerfile = files.pop("Dockerfile").splitlines()
    assert (tag, dockerfile[0]) == (base, "FROM mirr/python:1")
    assert "COPY alertmanager amtool /bin/" in dockerfile
    assert "COPY default.tmpl email.tmpl /etc/alertmanager/" in dockerfile
    assert set(files) == {"alertmanager", "amtool", "default.tmpl", "email.tmpl"}
    assert files["alertmanager"] == "prometheus-alertmanager of prometheus-alertmanager_1.0_amd64.deb"


def test_alertmanager_is_pulled_where_a_registry_has_it() -> None:
    images, report = FakeImages(reachable=True), RecordedProgress()
    registry = bases.Registry(images.client, report)
    assert bases.alertmanager_base(images.client, registry, "mirr/python:1", report) == bases.ALERTMANAGER_FROM_REGISTRY
    assert images.pulled == ["prom/alertmanager:v0.28.1"]
    assert images.built == []


def test_the_error_without_registry_and_without_debian_names_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "can_install", lambda: False)
    images = FakeImages(reachable=False)
    report = RecordedProgress()
    with pytest.raises(ImageError) as raised:
        bases.python_base(images.client, bases.Registry(images.client, report), report)
    assert str(raised.value) == (
        "no image registry serves python:3.11-slim-bookworm, and base images can be built without one only as root "
        "on a Debian-family system; see what the engine says to: docker pull python:3.11-slim-bookworm"
    )


def test_the_tag_of_the_debian_base_depends_on_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bases.debian_python_tag("bookworm")
    assert bases.debian_python_tag("bookworm") == before
    assert bases.debian_python_tag("trixie") != before
    monkeypatch.setattr(bases, "PYTHON_PACKAGES", (*bases.PYTHON_PACKAGES, "tzdata"))
    assert bases.debian_python_tag("bookworm") != before


def test_the_debian_base_is_built_from_the_machines_own_suite_and_sources() -> None:
    suite = debian.Suite(codename="bookworm", sources="deb http://mirror bookworm main\n")
    command = bases.mmdebstrap_command(Path("base.tar"), suite)
    assert command[-3:] == ["bookworm", "base.tar", "-"]
    assert "--variant=extract" in command
    assert not any("http" in part for part in command)
