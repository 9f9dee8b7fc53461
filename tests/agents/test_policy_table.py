"""The table of all policies in docs/environment.md is complete, and is what `mirr evaluate` prints."""

from __future__ import annotations

import pytest

from mirr.agents.registry import SELF_SUFFICIENT, PolicyName
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Tier
from tests.agents.policy_table import EPISODES, FIRST_SEED, Row, measured, rows_of, text_of, with_table
from tests.env.environment_page import PAGE

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_has_a_row_for_every_policy_in_every_tier() -> None:
    assert [(row.policy, row.tier) for row in rows_of(TEXT)] == [
        (policy, tier) for policy in SELF_SUFFICIENT for tier in TIERS
    ], "measure again: python -m tests.agents.policy_table --write"


def test_the_page_says_which_episodes_were_played() -> None:
    assert f"seeds {FIRST_SEED} to {FIRST_SEED + EPISODES - 1}" in TEXT


def test_the_page_is_written_as_it_is_read() -> None:
    rows = [
        Row(policy=PolicyName.WAIT, tier=Tier.EASY, success=0.0, clean=0.0, diagnosed=0.0, reward=-2.5),
        Row(policy=PolicyName.ORACLE, tier=Tier.MEDIUM, success=100.0, clean=99.5, diagnosed=100.0, reward=45.8),
    ]
    page = with_table("before\n<!-- measured: policies -->\nold\n<!-- end -->\nafter\n", text_of(rows))
    assert rows_of(page) == rows
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    with pytest.raises(ValueError, match="has no place for the table"):
        rows_of("no marks")


def test_a_row_is_measured_with_the_code_of_mirr_evaluate() -> None:
    row = measured(PolicyName.ORACLE, Tier.EASY, episodes=20)
    assert (row.success, row.clean, row.diagnosed) == (100.0, 100.0, 100.0)
    assert 44.0 < row.reward < 47.0
