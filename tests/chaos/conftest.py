"""Fixtures for the tests of chaos on a fake lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirr.chaos.journal import Journal
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab


@pytest.fixture
def lab() -> FakeLab:
    return FakeLab(FakeClock())


@pytest.fixture
def journal(tmp_path: Path, lab: FakeLab) -> Journal:
    """A journal that uses the clock of the fake lab."""
    return Journal(tmp_path, now=lab.clock.now)
