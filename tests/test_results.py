"""The tables in README.md and results/ are those of results.json, and the lab's figures are those of its episodes."""

from __future__ import annotations

import pytest

from mirr.bridge.results.cells import Cell, read_cells
from mirr.bridge.results.report import BEGIN, Order, page, read_report, report_of, with_tables
from mirr.env.vocabulary import Tier
from tests.paths import ROOT

RESULTS = ROOT / "results"
README = ROOT / "README.md"
REPORT = read_report(RESULTS / "results.json")

AGAIN = "write them again: mirr results --readme README.md"


def test_the_readme_has_the_tables_of_the_report() -> None:
    text = README.read_text(encoding="utf-8")
    assert BEGIN in text
    assert with_tables(text, REPORT, README.name) == text, AGAIN


def test_the_page_is_that_of_the_report() -> None:
    assert (RESULTS / "results.md").read_text(encoding="utf-8") == page(REPORT), AGAIN


@pytest.mark.parametrize("tier", Tier)
def test_every_tier_has_the_main_agents_on_the_simulator(tier: Tier) -> None:
    rows = [cell["policy"] for cell in REPORT["cells"] if (cell["tier"], cell["world"]) == (tier, "sim")]
    assert set(REPORT["main"]) <= set(rows)


@pytest.mark.thorough
def test_the_labs_figures_are_those_of_its_episodes() -> None:
    # The lab's episodes cannot be played again, so they are kept beside the report.
    kept = {cell: episodes for cell, episodes in read_cells(RESULTS).items() if cell.world == "docker"}
    order = Order(policies=(), worlds=())
    worked_out = report_of(kept, order, main=(), version=REPORT["mirr"])["cells"]
    stated = [cell for cell in REPORT["cells"] if cell["world"] == "docker"]

    def key(cell: dict[str, str]) -> Cell:
        return Cell(cell["world"], Tier(cell["tier"]), cell["policy"])

    assert sorted(worked_out, key=key) == sorted(stated, key=key)
