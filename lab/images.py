"""Builds the images that are missing or out of date, and no others."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from mirr.env.vocabulary import Service
from mirr.lab import bases
from mirr.lab.errors import ImageError
from mirr.lab.installation import HERE
from mirr.lab.names import ALERTMANAGER_IMAGE, LABEL_SOURCE, PROMETHEUS_IMAGE, ROOT, TRAFFIC_IMAGE, service_image
from mirr.lab.progress import Progress, timed
from mirr.lab.releases import LAYERS
from mirr.lab.sources import Build, read_file, read_tree, service_build

if TYPE_CHECKING:
    from docker import DockerClient

BUILDS_AT_ONCE = 4
PIP_TIMEOUT_S = 600
GLIBC_PLATFORMS = {
    "amd64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "arm64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}


def runtime_build(base: str, python: str, architecture: str, root: Path = ROOT) -> Build:
    """The image with Python and the services' packages. The packages are fetched only when it is built."""
    unnamed = Build(
        tag="mirr/runtime",
        dockerfile=read_file(root / "services" / "runtime.Dockerfile").decode(),
        arguments={"BASE": base},
        files={
            "requirements.txt": read_file(root / "services" / "requirements.txt"),
            "target": f"{python} {architecture}".encode(),
        },
    )
    return Build(
        tag=f"mirr/runtime:{unnamed.source}",
        dockerfile=unnamed.dockerfile,
        arguments=unnamed.arguments,
        files=unnamed.files,
    )


def lab_builds(runtime: str, prometheus_base: str, root: Path = ROOT) -> list[Build]:
    """Every image that the containers of each lab run."""
    traffic = Build(
        tag=TRAFFIC_IMAGE,
        dockerfile=read_file(root / "traffic" / "Dockerfile").decode(),
        arguments={"BASE": runtime},
        files=read_tree(root / "traffic", "traffic"),
    )
    rules = read_tree(root / "prometheus" / "rules", "prometheus/rules")
    prometheus = Build(
        tag=PROMETHEUS_IMAGE,
        dockerfile=read_file(root / "prometheus" / "Dockerfile").decode(),
        arguments={"BASE": prometheus_base},
        files={"prometheus/prometheus.yml": read_file(root / "prometheus" / "prometheus.yml"), **rules},
    )
    # All strengths, too: a build in mid-episode would take time, and so tell that there is a bad deploy.
    # One release after the other: the first build of a release makes the layers that the other services share.
    services = [service_build(service, release, runtime, root) for release in LAYERS for service in Service]
    return [*services, traffic, prometheus]


def alertmanager_build(base: str, runtime: str, root: Path = ROOT) -> Build:
    """The image of Alertmanager, which only some labs have: the programs of `base`, on the image `runtime`."""
    folder = root / "prometheus" / "alertmanager"
    return Build(
        tag=ALERTMANAGER_IMAGE,
        dockerfile=read_file(folder / "Dockerfile").decode(),
        arguments={"BASE": base, "RUNTIME": runtime},
        files={"alertmanager/alertmanager.yml": read_file(folder / "alertmanager.yml")},
    )


def current_sources(client: DockerClient) -> dict[str, str]:
    """The hash of what each of our images was built from, by tag. Images without a tag are left out."""
    listed = client.api.images(filters={"label": LABEL_SOURCE})
    return {tag: str(image["Labels"][LABEL_SOURCE]) for image in listed for tag in image["RepoTags"] or ()}


def stale(builds: list[Build], sources: dict[str, str]) -> list[Build]:
    """The builds whose image is missing or was built from something else."""
    return [build for build in builds if sources.get(build.tag) != build.source]


def stale_tags(client: DockerClient) -> list[str]:
    """The tags that `ensure` would build now. It asks no registry and builds nothing."""
    codename = bases.codename()
    python = _python_present(client)
    prometheus = _first_present(client, bases.debian_prometheus_tag(codename), bases.PROMETHEUS_FROM_REGISTRY)
    if python is None or prometheus is None:
        missing = "not there yet"  # every image is built on these two, so every image is stale
        return [build.tag for build in lab_builds(missing, missing)]
    runtime = _runtime_on(client, python)
    builds = [runtime, *lab_builds(runtime.tag, prometheus)]
    return [build.tag for build in stale(builds, current_sources(client))]


def ensure_release(client: DockerClient, service: Service, release: str) -> bool:
    """Build the image of one release of a service, if it is missing or stale. It takes the runtime that the lab's other
    images are built on, and asks no registry. Returns whether it built. Raises ImageError."""
    python = _python_present(client)
    runtime = None if python is None else _runtime_on(client, python).tag
    if runtime is None or not bases.present(client, runtime):
        raise ImageError(f"there is no runtime image to build {service_image(service, release)} on; next: mirr up")
    missing = stale([service_build(service, release, runtime)], current_sources(client))
    for build in missing:
        _build(client, build)
    return bool(missing)


def _python_present(client: DockerClient) -> str | None:
    return _first_present(client, bases.debian_python_tag(bases.codename()), bases.PYTHON_FROM_REGISTRY)


def _runtime_on(client: DockerClient, python: str) -> Build:
    return runtime_build(python, bases.python_version(client, python), bases.engine_architecture(client))


def _first_present(client: DockerClient, *tags: str) -> str | None:
    return next((tag for tag in tags if bases.present(client, tag)), None)


def ensure(client: DockerClient, report: Progress, *, alertmanager: bool = False) -> list[str]:
    """Build what is missing or stale, with Alertmanager if it is asked for. Returns the tags that were built."""
    registry = bases.Registry(client, report)
    python = bases.python_base(client, registry, report)
    prometheus = bases.prometheus_base(client, registry, python, report)
    runtime = _runtime_on(client, python)
    sources = current_sources(client)
    built = []
    if stale([runtime], sources):
        with timed(report, "building the runtime image"):
            packages = fetch_packages(runtime, report)
            _build(client, runtime, {**packages})
        built.append(runtime.tag)
    wanted = lab_builds(runtime.tag, prometheus)
    if alertmanager:
        wanted.append(alertmanager_build(bases.alertmanager_base(client, registry, python, report), python))
    todo = stale(wanted, sources)
    if todo:
        with timed(report, f"building {len(todo)} images"):
            _build_all(client, todo, report)
    return [*built, *(build.tag for build in todo)]


def fetch_packages(runtime: Build, report: Progress, run: Callable[..., object] = subprocess.run) -> dict[str, bytes]:
    """The packages of requirements.txt for the engine's architecture, as files of a build context."""
    python, architecture = runtime.files["target"].decode().split()
    with tempfile.TemporaryDirectory(prefix="mirr-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_bytes(runtime.files["requirements.txt"])
        target = Path(scratch) / "packages"
        command = pip_command(requirements, target, python, architecture)
        try:
            with timed(report, "fetching the services' Python packages"):
                run(command, check=True, capture_output=True, text=True, timeout=PIP_TIMEOUT_S)
        except subprocess.CalledProcessError as error:
            output = "\n".join(str(error.stderr).strip().splitlines()[-6:])
            raise ImageError(
                f"the services' packages could not be fetched; see: {' '.join(command)}\n{output}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"pip did not end within {PIP_TIMEOUT_S} s; see: {' '.join(command)}") from error
        return read_tree(target, "packages")


def pip_command(requirements: Path, target: Path, python: str, architecture: str) -> list[str]:
    """The command that fetches packages for the image's Python, not for the Python that runs here."""
    tag = "cp" + python.replace(".", "")
    return [
        *HERE.python("pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"),
        *("--target", str(target), "--requirement", str(requirements), "--only-binary=:all:"),
        *("--python-version", python, "--implementation", "cp", "--abi", tag, "--abi", "abi3", "--abi", "none"),
        *(part for name in GLIBC_PLATFORMS[architecture] for part in ("--platform", name)),
    ]


def _build_all(client: DockerClient, todo: list[Build], report: Progress) -> None:
    # First build one image of each Dockerfile and release: it makes the layers that the others find in the cache.
    first: dict[int, Build] = {}
    for build in todo:
        first.setdefault(hash((build.dockerfile, *sorted(build.files.items()))), build)
    leaders = list(first.values())
    rest = [build for build in todo if build not in leaders]
    with ThreadPoolExecutor(max_workers=BUILDS_AT_ONCE) as pool:
        for batch in (leaders, rest):
            for tag in pool.map(lambda build: _build(client, build), batch):
                report.update(f"built {tag}")


def _build(client: DockerClient, build: Build, more_files: dict[str, bytes] | None = None) -> str:
    from docker.credentials.errors import StoreError
    from docker.errors import APIError, BuildError

    from mirr.lab.sources import tar

    context = tar({**more_files, "Dockerfile": build.dockerfile.encode()}) if more_files else build.context()
    replaced = {str(image["Id"]) for image in client.api.images(name=build.tag)}
    try:
        image, _ = client.images.build(
            fileobj=io.BytesIO(context),
            custom_context=True,
            tag=build.tag,
            buildargs=dict(build.arguments),
            labels={LABEL_SOURCE: build.source},
            network_mode="none",
            rm=True,
            forcerm=True,
        )
    except BuildError as error:
        output = "".join(str(entry.get("stream", "")) for entry in error.build_log if isinstance(entry, dict))
        raise ImageError(f"{build.tag} could not be built: {error}\n{output[-1500:]}") from error
    except APIError as error:
        raise ImageError(f"{build.tag} could not be built: {error.explanation or error}") from error
    except StoreError as error:
        raise ImageError(
            f"{build.tag} could not be built: the credential helper of Docker's config.json does not work ({error}); "
            "next: install it, or remove credsStore and credHelpers from that file"
        ) from error
    for old in replaced - {str(image.id)}:
        _forget(client, old)
    return build.tag


def _forget(client: DockerClient, image: str) -> None:
    from docker.errors import APIError

    try:
        client.images.remove(image)
    except APIError:
        # A container or another tag still uses it. `docker image prune` removes it later.
        return
