"""The tables of faults in README.md and docs/architecture.md match the modules of the faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.fault_tables import PAGES, updated


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_table_of_faults_is_up_to_date(page: Path) -> None:
    assert updated(page) == page.read_text(encoding="utf-8"), "update it with: python -m tests.chaos.fault_tables"
