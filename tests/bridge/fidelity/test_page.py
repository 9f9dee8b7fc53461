"""The page of a report: what is drawn, and that it is drawn inside its frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import pytest

from mirr.bridge.fidelity.bands import Row, rows
from mirr.bridge.fidelity.charts import panel_chart, policy_scatter
from mirr.bridge.fidelity.classifier import Boosting
from mirr.bridge.fidelity.compare import compare
from mirr.bridge.fidelity.page import page
from mirr.bridge.fidelity.pairs import Pair
from mirr.bridge.fidelity.policy import Point
from mirr.bridge.recording import Recording, Recordings, Session
from mirr.env.vocabulary import Fault, Restart, Service, Wait
from tests.bridge.collected import probe_of

FALLEN = [0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
HEALED = [0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0]
DOWN_FOR_A_WHILE = [False, False, True, True, True, False, False, False]


def folder(world: str, recordings: Sequence[Recording]) -> Recordings:
    return Recordings(sessions=(Session(world=world),), by_key={one.play.key: one for one in recordings})


def drawn_rows(one: Recording, two: Recording) -> list[Row]:
    return list(rows([Pair(reference=one, other=two, stratum=0)]))


def coordinates(element: ElementTree.Element) -> list[tuple[float, float]]:
    """Every point that an element of a chart has."""
    named = element.attrib
    points = [tuple(map(float, point.split(","))) for point in named.get("points", "").split()]
    for x, y in (("x", "y"), ("cx", "cy"), ("x1", "y1"), ("x2", "y2")):
        if x in named and y in named:
            points.append((float(named[x]), float(named[y])))
    return [(x, y) for x, y in points]


@pytest.mark.parametrize("down", [[], DOWN_FOR_A_WHILE])
def test_every_chart_is_drawn_inside_its_frame(down: list[bool]) -> None:
    (row,) = drawn_rows(probe_of(FALLEN, action=Wait(), down=down), probe_of(HEALED, action=Wait()))
    charts = [panel_chart(row, panel) for panel in row.panels]
    charts.append(policy_scatter([Point(policy="wait", real=0.0, sim=1.0, scenarios=3)]))
    for chart in charts:
        root = ElementTree.fromstring(chart)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        points = [point for element in root.iter() for point in coordinates(element)]
        assert len(points) > 4
        assert all(0.0 <= x <= width and 0.0 <= y <= height for x, y in points)


def test_a_gap_in_the_measurements_is_a_gap_in_the_line() -> None:
    (row,) = drawn_rows(probe_of(FALLEN, action=Wait(), down=DOWN_FOR_A_WHILE), probe_of(FALLEN, action=Wait()))
    (rate,) = [panel for panel in row.panels if panel.metric == "request_rate"]
    chart = panel_chart(row, rate)
    assert chart.count('class="lab line"') == 2
    assert chart.count('class="sim line"') == 1
    assert np.isnan(rate.lab.mean[2:5]).all()


def test_only_waiting_and_the_right_fix_on_the_culprit_have_charts() -> None:
    crashed = Fault.parse("crashed:auth")
    played = [
        probe_of(FALLEN, fault=crashed, action=action)
        for action in (Wait(), Restart(Service.AUTH), Restart(Service.GATEWAY))
    ]
    found = list(rows([Pair(reference=one, other=one, stratum=0) for one in played]))
    assert [(row.form, row.deed, row.plays) for row in found] == [
        ("crashed/killed", "wait", 1),
        ("crashed/killed", "restart", 1),
    ]
    assert (found[0].injected, found[0].acted) == (1, 4)


def test_the_grid_marks_the_cells_that_differ_and_texts_cannot_become_markup() -> None:
    lab = folder("<b>lab</b>", [probe_of(FALLEN), probe_of(FALLEN, action=Wait())])
    sim = folder("sim", [probe_of(HEALED), probe_of(FALLEN, action=Wait())])
    found = page(compare(lab, sim, draws=0, boosting=Boosting(trees=1)))
    assert re.findall(r'<td class="(\w+ different)"', found) == ["unchanged different"]
    assert "crashed/killed: restart on the culprit is unchanged on the lab, and resolved simulated" in found
    assert "<b>lab</b>" not in found
    assert "Session 1 in &lt;b&gt;lab&lt;/b&gt;" in found
    assert "Too few policies were played in both worlds: mirr collect --part policies" in found
