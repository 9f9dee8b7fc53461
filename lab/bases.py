"""The base images. They come from a registry if one answers, else from this machine's Debian packages."""

from __future__ import annotations

import hashlib
import io
import platform
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mirr.lab import debian
from mirr.lab.errors import ImageError, LabError
from mirr.lab.progress import Progress, timed
from mirr.lab.sources import tar

if TYPE_CHECKING:
    from docker import DockerClient

PYTHON_FROM_REGISTRY = "python:3.11-slim-bookworm"
PROMETHEUS_FROM_REGISTRY = "prom/prometheus:v2.53.5"
ALERTMANAGER_FROM_REGISTRY = "prom/alertmanager:v0.28.1"
REGISTRY_DEADLINE_S = 10
PULL_TIMEOUT_S = 600

PYTHON_PACKAGES = ("base-files", "coreutils", "dash", "libc-bin", "libpython3-stdlib", "procps", "python3-minimal")
LEFT_OUT = ("doc", "info", "locale", "man")  # below /usr/share
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
LABEL_PYTHON = "mirr.python"


def engine_architecture(client: DockerClient) -> str:
    """The engine's architecture by Debian's name: amd64 or arm64."""
    machine = str(client.api.version()["Arch"])
    if machine not in ARCHITECTURES:
        raise ImageError(f"the Docker engine runs on {machine}; the lab is built for amd64 and arm64")
    return ARCHITECTURES[machine]


def present(client: DockerClient, tag: str) -> bool:
    """Whether the engine has the image."""
    return bool(client.api.images(name=tag))


def debian_python_tag(codename: str) -> str:
    """The tag of the base made of Debian packages. It changes exactly when the content changes."""
    inputs = "\n".join((codename, *PYTHON_PACKAGES, *LEFT_OUT))
    return f"mirr/python:{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"


def debian_prometheus_tag(codename: str) -> str:
    """The tag of the Prometheus base made of Debian's package."""
    return f"mirr/prometheus-base:{debian_python_tag(codename).partition(':')[2]}"


def debian_alertmanager_tag(codename: str) -> str:
    """The tag of the Alertmanager base made of Debian's package."""
    return f"mirr/alertmanager-base:{debian_python_tag(codename).partition(':')[2]}"


def codename() -> str:
    """The name of this machine's Debian release, as in bookworm; empty if it has none."""
    return debian.os_release().get("VERSION_CODENAME", "")


class Registry:
    """The image registry that the engine uses. After a failure, nobody asks it again."""

    def __init__(self, client: DockerClient, report: Progress) -> None:
        self._client = client
        self._report = report
        self._reachable = True

    def pull(self, reference: str) -> bool:
        """Pull an image. Returns False, after one line that says why, if no registry serves it."""
        from docker.errors import DockerException  # also for a credential helper that does not work
        from requests.exceptions import RequestException

        if not self._reachable:
            return False
        repository, tag = reference.split(":")
        api = self._client.api
        usual_timeout = api.timeout
        self._report.update(f"asking the registry for {reference} ...")
        try:
            # First ask with a short deadline: if the registry drops packets, a pull needs minutes to fail.
            api.timeout = REGISTRY_DEADLINE_S
            self._client.images.get_registry_data(reference)
            api.timeout = PULL_TIMEOUT_S
            with timed(self._report, f"pulling {reference}"):
                self._client.images.pull(repository, tag=tag)
        except (DockerException, RequestException) as error:
            self._reachable = False
            why = getattr(error, "explanation", None) or error
            self._report.say(f"the image registry does not serve {reference} ({why}); using Debian packages instead")
            return False
        finally:
            api.timeout = usual_timeout
        return True


def python_base(client: DockerClient, registry: Registry, report: Progress) -> str:
    """The image with Python. All other images are built on it."""
    made_here = debian_python_tag(codename())
    for tag in (made_here, PYTHON_FROM_REGISTRY):
        if present(client, tag):
            return tag
    if registry.pull(PYTHON_FROM_REGISTRY):
        return PYTHON_FROM_REGISTRY
    _demand_debian(client, PYTHON_FROM_REGISTRY)
    with timed(report, "building the Python base image from Debian packages"):
        _import_python(client, made_here, report)
    return made_here


def prometheus_base(client: DockerClient, registry: Registry, python: str, report: Progress) -> str:
    """The image with /bin/prometheus. Our image is built on it."""
    made_here = debian_prometheus_tag(codename())
    for tag in (made_here, PROMETHEUS_FROM_REGISTRY):
        if present(client, tag):
            return tag
    if registry.pull(PROMETHEUS_FROM_REGISTRY):
        return PROMETHEUS_FROM_REGISTRY
    _demand_debian(client, PROMETHEUS_FROM_REGISTRY)
    with timed(report, "building the Prometheus base image from Debian's package"):
        _build_prometheus(client, python, made_here)
    return made_here


def alertmanager_base(client: DockerClient, registry: Registry, python: str, report: Progress) -> str:
    """The image with /bin/alertmanager and /bin/amtool. Our image takes them from there."""
    made_here = debian_alertmanager_tag(codename())
    for tag in (made_here, ALERTMANAGER_FROM_REGISTRY):
        if present(client, tag):
            return tag
    if registry.pull(ALERTMANAGER_FROM_REGISTRY):
        return ALERTMANAGER_FROM_REGISTRY
    _demand_debian(client, ALERTMANAGER_FROM_REGISTRY)
    with timed(report, "building the Alertmanager base image from Debian's package"):
        _build_alertmanager(client, python, made_here)
    return made_here


def python_version(client: DockerClient, base: str) -> str:
    """The Python version of a base image, as in `3.11`."""
    if base == PYTHON_FROM_REGISTRY:
        return "3.11"
    labels = client.images.get(base).labels
    return str(labels.get(LABEL_PYTHON, "3.11"))


def _demand_debian(client: DockerClient, reference: str) -> None:
    if not debian.can_install():
        raise ImageError(
            f"no image registry serves {reference}, and base images can be built without one only as root on a "
            f"Debian-family system; see what the engine says to: docker pull {reference}"
        )
    ours = ARCHITECTURES.get(platform.machine())
    theirs = engine_architecture(client)
    if ours != theirs:
        raise ImageError(
            f"no image registry serves {reference}, and the engine runs on {theirs} while this machine's packages "
            f"are for {ours}; see what the engine says to: docker pull {reference}"
        )


def mmdebstrap_command(target: Path, suite: debian.Suite) -> list[str]:
    """The command that makes the file system of the base. It reads the package sources from stdin."""
    return [
        "mmdebstrap",
        "--mode=root",
        # Packages are unpacked but not configured. The result has no apt and no named users, and takes half the time.
        "--variant=extract",
        f"--include={','.join(PYTHON_PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        suite.codename,
        str(target),
        "-",
    ]


def _import_python(client: DockerClient, tag: str, report: Progress) -> None:
    if shutil.which("mmdebstrap") is None:
        debian.install(["mmdebstrap"], report)
    with tempfile.TemporaryDirectory(prefix="mirr-") as scratch:
        root_tar = Path(scratch) / "base.tar"
        suite = debian.suite()
        try:
            debian.run(mmdebstrap_command(root_tar, suite), stdin=suite.sources)
        except LabError as error:
            raise ImageError(f"the base image could not be made of Debian packages: {error}") from error
        version = _python_in(root_tar)
        repository, tag_only = tag.split(":")
        client.api.import_image(
            src=str(root_tar), repository=repository, tag=tag_only, changes=[f"LABEL {LABEL_PYTHON}={version}"]
        )
    if not present(client, tag):
        raise ImageError(f"the engine took the base image but does not list {tag}; see: docker images")


def _python_in(root_tar: Path) -> str:
    with tarfile.open(root_tar) as archive:
        for name in archive.getnames():
            if match := re.fullmatch(r"(?:\./)?usr/bin/python(3\.\d+)", name):
                return match[1]
    raise ImageError("the base image made of Debian packages has no Python; see: apt-cache policy python3-minimal")


def _build_prometheus(client: DockerClient, python: str, tag: str) -> None:
    files = _files_of("prometheus", {name: f"usr/bin/{name}" for name in ("prometheus", "promtool")})
    dockerfile = f"FROM {python}\nCOPY prometheus promtool /bin/\nRUN chmod 755 /bin/prometheus /bin/promtool"
    # This is as in the registry's image: a new volume takes its owner from this folder.
    dockerfile += " && mkdir /prometheus && chown 65534:65534 /prometheus\n"
    _build_on(client, tag, dockerfile, files)


def _build_alertmanager(client: DockerClient, python: str, tag: str) -> None:
    shared = "usr/share/prometheus/alertmanager"
    files = _files_of(
        "prometheus-alertmanager",
        {
            "alertmanager": "usr/bin/prometheus-alertmanager",
            "amtool": "usr/bin/amtool",
            # The registry's programs have these inside. Debian's does not start without them.
            **{name: f"{shared}/{name}" for name in ("default.tmpl", "email.tmpl")},
        },
    )
    dockerfile = f"FROM {python}\nCOPY alertmanager amtool /bin/\nCOPY default.tmpl email.tmpl /etc/alertmanager/\n"
    _build_on(client, tag, f"{dockerfile}RUN chmod 755 /bin/alertmanager /bin/amtool\n", files)


def _files_of(package: str, paths: Mapping[str, str]) -> dict[str, bytes]:
    """Files of a Debian package. `paths` has the path of each in the package, by the name that it gets here."""
    with tempfile.TemporaryDirectory(prefix="mirr-") as scratch:
        directory = Path(scratch)
        # apt downloads as its own user, who must be able to enter.
        directory.chmod(0o755)
        debian.run(["apt-get", "-o", "APT::Sandbox::User=root", "download", package], cwd=directory)
        archive = next(directory.glob(f"{package}_*.deb"))
        debian.run(["dpkg-deb", "-x", str(archive), str(directory / "unpacked")])
        return {name: (directory / "unpacked" / path).read_bytes() for name, path in paths.items()}


def _build_on(client: DockerClient, tag: str, dockerfile: str, files: Mapping[str, bytes]) -> None:
    context = io.BytesIO(tar({**files, "Dockerfile": dockerfile.encode()}))
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, network_mode="none")
