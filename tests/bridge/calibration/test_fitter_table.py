"""The page says what is fitted, and from which probe."""

from __future__ import annotations

from tests.bridge.calibration.fitter_table import PAGE, with_table


def test_the_page_has_the_table_of_the_fitters() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "<!-- fitters -->" in page
    assert with_table(page) == page, "next: python -m tests.bridge.calibration.fitter_table"
