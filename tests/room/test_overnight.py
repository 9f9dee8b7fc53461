"""The long run, shortened: its figures are of what was played, and it says what grew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.room.overnight import MOST_ROWS, PARTS, Figures, overnight, problems


@pytest.mark.thorough
def test_a_short_night_leaves_the_rows_of_one_round(tmp_path: Path) -> None:
    taken = overnight(20, tmp_path / "rooms.sqlite")
    assert [each.rounds for each in taken] == list(range(2, 21, 20 // PARTS))
    assert max(each.rows for each in taken) == MOST_ROWS == 13
    assert problems(taken) == []


def test_what_grew_is_said() -> None:
    first = Figures(rounds=1, resident_mb=100.0, rows=MOST_ROWS, file_kb=20.0, round_ms=5.0, restart_ms=20.0)
    worse = replace(first, rows=14, resident_mb=200.0)
    assert problems([first, first]) == []
    assert problems([first, worse]) == [
        "the file has 14 rows, and a round makes 13",
        "memory grew from 100.0 MB to 200.0 MB",
    ]
