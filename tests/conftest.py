"""What tests of every tier share: a state directory of their own, and the one real lab of a session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REAL_LAB = os.environ.get("MIRR_TEST_LAB", "mirr-test")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores it, and so would every command that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def state_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh directory for everything that labs keep on disk."""
    monkeypatch.setenv("MIRR_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="session")
def real_lab() -> Iterator[str]:
    """The name of a lab that is up and in steady state; engine and images are brought where they are missing."""
    from mirr.cli.lab_commands import remember, revert, wait_until_steady
    from mirr.lab.engine import connect
    from mirr.lab.lab import bring_up, take_down
    from mirr.lab.lock import hold
    from mirr.lab.progress import PlainProgress

    report = PlainProgress()
    with hold(REAL_LAB, "pytest"):
        bring_up(
            REAL_LAB,
            report,
            revert=revert,
            remember=remember,
            wait_until_steady=lambda lab, limit: wait_until_steady(lab, limit, report),
        )
    yield REAL_LAB
    with hold(REAL_LAB, "pytest"):
        take_down(REAL_LAB, connect())
