"""The table of all policies in docs/environment.md is complete, and is what `mirr evaluate` prints."""

from __future__ import annotations

import pytest

from mirr.agents.registry import SELF_SUFFICIENT, PolicyName
from mirr.cli.playing import Player
from mirr.cli.worlds import WorldName
from mirr.env.evaluation import statistics
from mirr.env.scenario import draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Tier
from tests.agents.policy_table import FIRST_SEED, LAST_SEED, NEXT, Row, rows_of, rows_of_results, text_of, with_table
from tests.env.environment_page import PAGE

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_has_a_row_for_every_policy_in_every_tier() -> None:
    assert [(row.policy, row.tier) for row in rows_of(TEXT)] == [
        (policy, tier) for policy in SELF_SUFFICIENT for tier in TIERS
    ], NEXT
    assert with_table(TEXT, text_of(rows_of_results())) == TEXT, NEXT


def test_the_page_says_which_episodes_were_played() -> None:
    assert f"seeds {FIRST_SEED} to {LAST_SEED}" in TEXT


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


@pytest.mark.thorough
@pytest.mark.parametrize("policy", [PolicyName.ORACLE, PolicyName.HEURISTIC])
def test_the_figures_are_those_that_mirr_evaluate_prints(policy: PolicyName) -> None:
    scenarios = [draw(seed, tier=Tier.EASY) for seed in range(FIRST_SEED, LAST_SEED + 1)]
    played = statistics(Player(WorldName.SIM, policy).play_many("mirr", scenarios, "a test").results)
    row = next(row for row in rows_of_results() if (row.policy, row.tier) == (policy, Tier.EASY))
    assert [row.success / 100.0, row.clean / 100.0, row.reward] == pytest.approx(
        [played["success_rate"], played["clean_rate"], played["mean_reward"]], abs=1e-6
    )
