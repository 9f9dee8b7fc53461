"""Debian's Chromium, for tests with the marker `browser`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It has no sandbox as root. The others keep it from asking for anything by itself."""


@contextmanager
def launched() -> Iterator[Browser]:
    """A running browser. It is installed if this machine may; else the test is skipped, and says why."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    from tests.beside_the_lab import giving_way

    with tempfile.TemporaryDirectory() as folder, api.sync_playwright() as playwright:
        program = giving_way(_chromium(), Path(folder))
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _chromium() -> str:
    from filelock import FileLock

    from mirr.lab.debian import can_install, install
    from mirr.lab.progress import PlainProgress

    with FileLock(Path(tempfile.gettempdir()) / "mirr-tests-chromium.lock"):  # one worker installs, the others wait
        if shutil.which("chromium") is None and can_install():
            install(["chromium"], PlainProgress())
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found
