"""Builds the wheel and the source distribution from a copy of the checkout. The checkout does not change."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.paths import ROOT

LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "records", "tests", "docs")


def copy_of_checkout(to: Path) -> Path:
    """Copy the checkout with its symbolic links, without caches and earlier builds."""
    shutil.copytree(ROOT, to, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    # This is the only folder named `tests` that the packages need.
    shutil.copytree(ROOT / "prometheus" / "tests", to / "prometheus" / "tests")
    return to


def build_distributions(checkout: Path, to: Path) -> None:
    """Build offline into the folder `to`: the source distribution, and the wheel from it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(to), str(checkout)]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def unpack_source(distributions: Path, to: Path) -> Path:
    """Unpack the source distribution. Returns the folder that it contains."""
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        archive.extractall(to, filter="data")
    return next(to.iterdir())
