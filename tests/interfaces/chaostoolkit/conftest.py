"""A fake lab for the activities. They get it from `assemble`, as they get a real lab."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from mirr.bridge.assembly import Parts
from mirr.chaos.chaos import Chaos
from mirr.chaos.journal import Journal
from mirr.interfaces.chaostoolkit import connection
from mirr.interfaces.chaostoolkit.connection import Clock
from tests.fakes.assembly import fake_chaos
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab


@dataclass(frozen=True, kw_only=True)
class FakeParts:
    """The fields of Parts that the activities use."""

    fleet: FakeLab
    chaos: Chaos
    telemetry: FakeLab


@dataclass(frozen=True)
class Toolkit:
    """What a test of an activity needs."""

    lab: FakeLab
    clock: Clock
    journal: Journal


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state_root: Path) -> Toolkit:
    time = FakeClock()
    lab, journal = FakeLab(time), Journal(tmp_path / "journal", now=time.now)

    def assemble(name: str) -> Parts:
        assert name == "mirr-fake"
        return cast(Parts, FakeParts(fleet=lab, chaos=fake_chaos(lab, journal), telemetry=lab))

    monkeypatch.setattr(connection, "assemble", assemble)
    return Toolkit(lab=lab, clock=Clock(now=time.now, sleep=time.sleep), journal=journal)
