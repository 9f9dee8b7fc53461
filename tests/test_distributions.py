"""The wheel and the source distribution are complete: they have every file of every package and of every image."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirr.lab.images import lab_builds, runtime_build
from mirr.lab.names import ROOT as PACKAGE
from tests.distributions import unpack_source

pytestmark = pytest.mark.thorough

ONLY_IN_A_CHECKOUT = {"mirr/lab/venv.sh"}  # only the Makefile needs it
BESIDE_THE_PACKAGE = {"LICENSE", "README.md", "openenv.yaml", "pyproject.toml"}


@dataclass(frozen=True, kw_only=True)
class Built:
    """A checkout, and the wheel and the source distribution that were built from it."""

    checkout: Path
    wheel: Path  # unpacked
    source: Path  # unpacked


@pytest.fixture(scope="module")
def built(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    unpacked, dist = tmp_path_factory.mktemp("unpacked"), distributions / "dist"
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        archive.extractall(unpacked / "wheel")
    source = unpack_source(dist, unpacked / "source")
    return Built(checkout=distributions / "checkout", wheel=unpacked / "wheel", source=source)


def files_below(package: Path) -> set[str]:
    """Every file of a package, with names like `mirr/env/world.py`. The symbolic links of a checkout are followed."""
    roots = [package, *(path for path in package.iterdir() if path.is_symlink() and path.is_dir())]
    return {
        f"mirr/{path.relative_to(package).as_posix()}"
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_every_package(built: Built) -> None:
    wanted = files_below(built.checkout / "mirr") - ONLY_IN_A_CHECKOUT
    assert len(wanted) > 200
    assert {"mirr/docker-compose.yml", "mirr/prometheus/rules/sli.yml", "mirr/py.typed"} <= wanted
    assert files_below(built.wheel / "mirr") == wanted


def test_the_source_distribution_has_the_same_files_and_the_project_files(built: Built) -> None:
    assert files_below(built.source / "mirr") == files_below(built.wheel / "mirr")
    assert {path.name for path in built.source.iterdir()} >= BESIDE_THE_PACKAGE
    assert not [path for path in built.source.rglob("*") if path.is_symlink()]


def test_images_are_built_from_the_same_files_in_every_installation(built: Built) -> None:
    def sources(root: Path) -> dict[str, str]:
        builds = [runtime_build("base:1", "3.11", "amd64", root), *lab_builds("runtime:1", "prometheus:1", root)]
        return {build.tag: build.source for build in builds}

    assert sources(built.wheel / "mirr") == sources(built.source / "mirr") == sources(PACKAGE)
