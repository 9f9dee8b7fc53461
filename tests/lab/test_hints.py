"""Hints name the lab that they are about."""

from __future__ import annotations

import pytest

from mirr.lab.hints import for_lab


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("auth is broken; next: mirr revert", "auth is broken; next: mirr revert --lab v2"),
        ("next: mirr down, then mirr up", "next: mirr down --lab v2, then mirr up --lab v2"),
        ("next: mirr status, mirr doctor", "next: mirr status --lab v2, mirr doctor --lab v2"),
        (
            "next: mirr logs SERVICE, or mirr down and mirr up",
            "next: mirr logs SERVICE --lab v2, or mirr down --lab v2 and mirr up --lab v2",
        ),
        ("next: mirr up --lab v2, which builds it", "next: mirr up --lab v2, which builds it"),
        ("start it with: make up LAB=v2", "start it with: make up LAB=v2"),
        ("lab v2 is in use by `mirr up` (process 3)", "lab v2 is in use by `mirr up` (process 3)"),
        ("lab mirr-up is not up", "lab mirr-up is not up"),
        ("mirr upholds this", "mirr upholds this"),
    ],
)
def test_a_hint_names_a_lab_that_is_not_the_default_one(text: str, named: str) -> None:
    assert for_lab(text, "v2") == named
    assert for_lab(text, "mirr") == text
