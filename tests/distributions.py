"""Builds the wheel and the source distribution from a copy of the checkout, which stays as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.paths import ROOT

LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "records", "tests", "docs")


def copy_of_checkout(to: Path) -> Path:
    """The checkout's files with its links, without caches and earlier builds."""
    shutil.copytree(ROOT, to, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    # The only folder of that name that belongs to the project.
    shutil.copytree(ROOT / "prometheus" / "tests", to / "prometheus" / "tests")
    return to


def build_distributions(checkout: Path, to: Path, *options: str) -> None:
    """Build into the folder `to`, offline: the source distribution, and from it the wheel, unless options say less."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(to), *options, str(checkout)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def unpack_source(distributions: Path, to: Path) -> Path:
    """The folder that the source distribution holds."""
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        archive.extractall(to, filter="data")
    return next(to.iterdir())
