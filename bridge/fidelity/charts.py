"""Charts as SVG, written by hand: they need no library, no script and no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.fidelity.bands import Band, Panel, Row
from mirr.bridge.fidelity.policy import Point

LAB, SIM = "lab", "sim"  # the classes of what is drawn; the page has their colours

_WIDTH, _HEIGHT = 170.0, 92.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 4.0, 16.0, 14.0
_SQUARE = 360.0
_MARGIN = 40.0


def panel_chart(row: Row, panel: Panel) -> str:
    """One metric over the steps of a play: means as lines, bands behind them, the injection and the action marked."""
    values = np.concatenate([part for band in (panel.lab, panel.sim) for part in (band.low, band.high)])
    defined = values[~np.isnan(values)]
    if not defined.size:
        return ""
    low, high = min(0.0, float(defined.min())), float(defined.max()) or 1.0
    steps = len(panel.lab.mean)

    def x(step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / max(1, steps - 1)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = [
        f'<text class="title" x="{_LEFT:g}" y="10">{escape(panel.metric)}</text>',
        f'<text class="tick" x="{_LEFT - 3:g}" y="{y(high) + 6:.1f}">{high:.3g}</text>',
        f'<text class="tick" x="{_LEFT - 3:g}" y="{y(low):.1f}">{low:.3g}</text>',
        f'<line class="axis" x1="{_LEFT:g}" y1="{y(low):.1f}" x2="{_WIDTH - _RIGHT:g}" y2="{y(low):.1f}"/>',
    ]
    for at, kind in ((row.injected, "injected"), (row.acted, "acted")):
        place = x(at - 0.5)
        parts.append(f'<line class="{kind}" x1="{place:.1f}" y1="{_TOP:g}" x2="{place:.1f}" y2="{y(low):.1f}"/>')
    for name, band in ((LAB, panel.lab), (SIM, panel.sim)):
        parts += _drawn(name, band, x, y)
    label = f"{row.form}, {row.deed}: {panel.role} {panel.metric}"
    return _svg("panel", label, _WIDTH, _HEIGHT, parts)


def _drawn(name: str, band: Band, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """A band and its line. A gap where nothing was measured stays a gap."""
    parts: list[str] = []
    for run in _runs(band.mean):
        upper = [f"{x(step):.1f},{y(band.high[step]):.1f}" for step in run]
        lower = [f"{x(step):.1f},{y(band.low[step]):.1f}" for step in reversed(run)]
        middle = [f"{x(step):.1f},{y(band.mean[step]):.1f}" for step in run]
        if len(run) == 1:
            cx, cy = middle[0].split(",")
            parts.append(f'<circle class="{name} dot" cx="{cx}" cy="{cy}" r="1.5"/>')
            continue
        parts.append(f'<polygon class="{name} band" points="{" ".join(upper + lower)}"/>')
        parts.append(f'<polyline class="{name} line" points="{" ".join(middle)}"/>')
    return parts


def _runs(values: NDArray[np.float64]) -> list[list[int]]:
    """The steps that are defined, those in a row together."""
    found: list[list[int]] = []
    for step, value in enumerate(values):
        if np.isnan(value):
            continue
        if found and found[-1][-1] == step - 1:
            found[-1].append(step)
        else:
            found.append([step])
    return found


def policy_scatter(points: Sequence[Point]) -> str:
    """The success of each policy: the lab to the right, the simulator upwards. On the diagonal both are the same."""

    def place(rate: float) -> float:
        return _MARGIN + (_SQUARE - 2 * _MARGIN) * rate

    far = _SQUARE - _MARGIN
    parts = [
        f'<line class="axis" x1="{_MARGIN:g}" y1="{far:g}" x2="{far:g}" y2="{far:g}"/>',
        f'<line class="axis" x1="{_MARGIN:g}" y1="{far:g}" x2="{_MARGIN:g}" y2="{_MARGIN:g}"/>',
        f'<line class="diagonal" x1="{_MARGIN:g}" y1="{far:g}" x2="{far:g}" y2="{_MARGIN:g}"/>',
        f'<text class="label" x="{_SQUARE / 2:g}" y="{_SQUARE - 10:g}">success on the lab</text>',
        f'<text class="label" transform="translate(14 {_SQUARE / 2:g}) rotate(-90)">success simulated</text>',
    ]
    for point in points:
        cx, cy = place(point.real), _SQUARE - place(point.sim)
        said = f"{point.policy}: {point.real:.2f} on the lab, {point.sim:.2f} simulated, {point.scenarios} scenarios"
        parts.append(f'<circle class="point" cx="{cx:.1f}" cy="{cy:.1f}" r="4"><title>{escape(said)}</title></circle>')
        parts.append(f'<text class="name" x="{cx + 6:.1f}" y="{cy + 3:.1f}">{escape(point.policy)}</text>')
    return _svg("policies", "success of policies in both worlds", _SQUARE, _SQUARE, parts)


def _svg(chart: str, label: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg data-chart="{chart}" role="img" aria-label="{escape(label)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">{"".join(parts)}</svg>'
    )
