"""Measures every policy in every tier. `python -m tests.agents.policy_table --write` puts the table into
docs/environment.md, and without `--write` it is printed.

It plays what `mirr evaluate --world sim` plays, with the same code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mirr.agents.registry import SELF_SUFFICIENT, PolicyName
from mirr.cli.playing import Player
from mirr.cli.worlds import WorldName
from mirr.env.evaluation import statistics, valid
from mirr.env.scenario import draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Tier
from tests.env.environment_page import PAGE

FIRST_SEED = 1
EPISODES = 1_000
COLUMNS = ("policy", "tier", "success", "clean", "diagnosed", "reward")

_MARKED = re.compile(r"(<!-- measured: policies -->\n).*?(<!-- end -->)", re.DOTALL)
_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% \| (-?[\d.]+) \|$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """How a policy fared in a tier."""

    policy: PolicyName
    tier: Tier
    success: float  # shares of episodes, in percent
    clean: float
    diagnosed: float
    reward: float  # mean of an episode


def measured(policy: PolicyName, tier: Tier, episodes: int = EPISODES) -> Row:
    """Play the episodes of the seeds from FIRST_SEED on."""
    scenarios = [draw(seed, tier=tier) for seed in range(FIRST_SEED, FIRST_SEED + episodes)]
    played = Player(WorldName.SIM, policy).play_many("mirr", scenarios, "the table of policies")
    if played.interrupted:
        raise KeyboardInterrupt
    found = statistics(valid(played.results))

    def number(name: str) -> float:
        value = found[name]
        assert isinstance(value, float | int)
        return float(value)

    return Row(
        policy=policy,
        tier=tier,
        success=100.0 * number("success_rate"),
        clean=100.0 * number("clean_rate"),
        diagnosed=100.0 * number("diagnosis_accuracy"),
        reward=number("mean_reward"),
    )


def text_of(rows: Iterable[Row]) -> str:
    """The table, as it stands in the page."""
    lines = [
        f"| `{row.policy}` | `{row.tier}` | {row.success:.1f}% | {row.clean:.1f}% | {row.diagnosed:.1f}% "
        f"| {row.reward:.1f} |"
        for row in rows
    ]
    return "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *lines])


def rows_of(page: str) -> list[Row]:
    """The rows of the table in the page. Raises ValueError if it has no place for the table."""
    marked = _MARKED.search(page)
    if marked is None:
        raise ValueError(f"{PAGE.name} has no place for the table: <!-- measured: policies --> and <!-- end -->")
    return [
        Row(
            policy=PolicyName(policy),
            tier=Tier(tier),
            success=float(success),
            clean=float(clean),
            diagnosed=float(diagnosed),
            reward=float(reward),
        )
        for policy, tier, success, clean, diagnosed, reward in _ROW.findall(marked.group())
    ]


def with_table(page: str, text: str) -> str:
    """The page with `text` as its table."""
    return _MARKED.sub(lambda marks: f"{marks[1]}{text}\n{marks[2]}", page)


def main() -> None:
    """Measure everything. It takes a few minutes."""
    parser = argparse.ArgumentParser(description="Measure every policy in every tier.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/environment.md")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="episodes of each row; only without --write")
    given = parser.parse_args()
    if given.write and given.episodes != EPISODES:
        parser.error(f"the page has {EPISODES} episodes a row; leave --episodes out, or --write")
    text = text_of(measured(policy, tier, given.episodes) for policy in SELF_SUFFICIENT for tier in TIERS)
    if given.write:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
