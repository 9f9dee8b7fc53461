"""README.md and docs/architecture.md say about faults what their modules say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.fault_tables import PAGES, filled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_table_of_faults_is_what_the_modules_say(page: Path) -> None:
    assert filled(page) == page.read_text(encoding="utf-8"), "write it again: python -m tests.chaos.fault_tables"
