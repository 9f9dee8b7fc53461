"""The page of a report in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirr.bridge.fidelity.classifier import Boosting
from mirr.bridge.fidelity.compare import compare
from mirr.bridge.fidelity.report import write_report
from tests.bridge.collected import probe_of
from tests.bridge.fidelity.test_page import FALLEN, HEALED, folder
from tests.browser import launched


@pytest.mark.browser
def test_a_browser_draws_every_chart_and_asks_for_nothing_else(tmp_path: Path) -> None:
    lab = folder("docker", [probe_of(FALLEN, played_round=0), probe_of(HEALED, played_round=1)])
    sim = folder("sim", [probe_of(HEALED, played_round=0), probe_of(HEALED, played_round=1)])
    page_file = write_report(compare(lab, sim, draws=2, boosting=Boosting(trees=2, folds=2)), tmp_path).page
    asked: list[str] = []
    complaints: list[str] = []
    with launched() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.as_uri())
        sizes = page.eval_on_selector_all(
            "svg[data-chart]", "charts => charts.map(one => [one.clientWidth, one.clientHeight])"
        )
        drawn = page.eval_on_selector_all(
            "svg[data-chart]", "charts => charts.map(one => one.querySelectorAll('polyline, path, circle').length)"
        )
        rows = page.locator('[data-table="targets"] tr').count()
    assert asked == [page_file.as_uri()]
    assert complaints == []
    assert len(sizes) >= 5
    assert all(width > 50 and height > 50 for width, height in sizes)
    assert all(shapes > 0 for shapes in drawn)
    assert rows > 15
