"""The table of every policy in every tier. `python -m tests.agents.policy_table --write` puts it into
docs/environment.md, and without `--write` it is printed.

The figures are those of results/results.json, which `mirr results --world sim` writes. It plays what
`mirr evaluate --world sim` plays, with the same code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirr.agents.registry import SELF_SUFFICIENT, PolicyName
from mirr.bridge.results.figures import Measure
from mirr.bridge.results.report import read_report
from mirr.cli.worlds import WorldName
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import Tier
from tests.env.environment_page import PAGE
from tests.paths import ROOT

RESULTS = ROOT / "results" / "results.json"
FIRST_SEED, LAST_SEED = 1, 1_000
NEXT = "next: mirr results --world sim --readme README.md, then python -m tests.agents.policy_table --write"
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


def rows_of_results() -> list[Row]:
    """The rows of the simulator. Raises ValueError if one is missing, or if it is of other seeds."""
    cells = {(cell["world"], cell["policy"], cell["tier"]): cell for cell in read_report(RESULTS)["cells"]}
    rows = []
    for policy in SELF_SUFFICIENT:
        for tier in TIERS:
            cell = cells.get((WorldName.SIM, policy, tier))
            if cell is None or cell["seeds"] != f"{FIRST_SEED} to {LAST_SEED}":
                raise ValueError(
                    f"{RESULTS.name} lacks {policy} in {tier} on seeds {FIRST_SEED} to {LAST_SEED}; {NEXT}"
                )
            rows.append(_row(policy, tier, cell["figures"]))
    return rows


def _row(policy: PolicyName, tier: Tier, figures: Mapping[str, Mapping[str, float]]) -> Row:
    return Row(
        policy=policy,
        tier=tier,
        success=100.0 * figures[Measure.SUCCESS]["value"],
        clean=100.0 * figures[Measure.CLEAN]["value"],
        diagnosed=100.0 * figures[Measure.DIAGNOSED]["value"],
        reward=figures[Measure.REWARD]["value"],
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
    """Write the table, or print it."""
    parser = argparse.ArgumentParser(description="The table of every policy in every tier.")
    parser.add_argument("--write", action="store_true", help="write the table into docs/environment.md")
    text = text_of(rows_of_results())
    if parser.parse_args().write:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
