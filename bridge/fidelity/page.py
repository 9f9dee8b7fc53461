"""The report as one page that needs nothing else: styles and charts are in it, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from mirr.bridge.fidelity.bands import INNER, rows
from mirr.bridge.fidelity.charts import panel_chart, policy_scatter
from mirr.bridge.fidelity.compare import Fidelity
from mirr.bridge.fidelity.distrust import distrusted
from mirr.bridge.fidelity.figure import Figure
from mirr.bridge.fidelity.health import OutcomeClass
from mirr.bridge.fidelity.targets import TARGETS, Verdict
from mirr.bridge.fidelity.transition import Deed, GridCell
from mirr.bridge.recording import Recordings

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; } h3 { margin: 1.5rem 0 .3rem; }
table { border-collapse: collapse; }
th, td { padding: .25rem .7rem; text-align: left; border-bottom: 1px solid #d9e2ec; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .grid td { text-align: center; min-width: 4.5rem; }
.met { color: #0b6e4f; } .missed { color: #b42318; font-weight: 600; } .unknown, .note { color: #627d98; }
.resolved { background: #d3f0e3; } .improved { background: #eaf6d8; } .unchanged { background: #f0f4f8; }
.worse { background: #fbe0dc; } .different { outline: 3px solid #b42318; outline-offset: -3px; font-weight: 600; }
.row { display: flex; flex-wrap: wrap; gap: .2rem; } svg text { font: 9px system-ui, sans-serif; fill: #52667a; }
svg .tick { text-anchor: end; } svg .label { text-anchor: middle; font-size: 12px; } svg .name { font-size: 11px; }
.axis { stroke: #9fb3c8; } .injected { stroke: #b42318; stroke-dasharray: 2 2; } .acted { stroke: #52667a; }
.acted { stroke-dasharray: 2 2; } .diagonal { stroke: #9fb3c8; stroke-dasharray: 4 3; } .point { fill: #1d5fd1; }
.line { fill: none; stroke-width: 1.6; } .lab.line { stroke: #1d5fd1; } .sim.line { stroke: #d9730d; }
.band { fill-opacity: .18; } .lab.band, .lab.dot { fill: #1d5fd1; } .sim.band, .sim.dot { fill: #d9730d; }
.key { display: inline-block; width: .9rem; height: .9rem; vertical-align: -2px; } .key.lab { background: #1d5fd1; }
.key.sim { background: #d9730d; }
"""

_CLASS: Mapping[Verdict, str] = {
    Verdict.MET: "met",
    Verdict.MISSED: "missed",
    Verdict.TOO_FEW: "unknown",
    Verdict.NO_TARGET: "note",
}

SHORT: Mapping[OutcomeClass, str] = {
    OutcomeClass.RESOLVED: "resolved",
    OutcomeClass.IMPROVED: "better",
    OutcomeClass.UNCHANGED: "same",
    OutcomeClass.WORSE: "worse",
}
"""An outcome in one short word."""


def page(fidelity: Fidelity) -> str:
    """The page as HTML."""
    body = [
        "<h1>How far is the simulator from the lab?</h1>",
        f"<p>{_summary(fidelity)}</p>",
        "<h2>Targets</h2>",
        *_targets(fidelity),
        "<h2>What to distrust</h2>",
        *_distrust(fidelity),
        "<h2>Outcomes</h2>",
        *_outcomes(fidelity),
        "<h2>Policies</h2>",
        *_policies(fidelity),
        "<h2>Courses</h2>",
        *_courses(fidelity),
        "<h2>Sources</h2>",
        *_source("the lab", fidelity.lab),
        *_source("the simulator", fidelity.sim),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Simulator and lab</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _summary(fidelity: Fidelity) -> str:
    found = list(fidelity.verdicts.values())
    met, missed, unknown = (found.count(one) for one in (Verdict.MET, Verdict.MISSED, Verdict.TOO_FEW))
    return (
        f"{met} targets met, {missed} missed, {unknown} figures without enough recordings; {len(fidelity.pairs)} plays "
        f"in both worlds, {len(fidelity.itself)} twice on the lab."
    )


def _targets(fidelity: Fidelity) -> Iterator[str]:
    yield (
        '<table data-table="targets"><tr><th>level</th><th>measure</th><th>figure</th><th>95% interval</th>'
        "<th>the lab itself</th><th>target</th><th>verdict</th></tr>"
    )
    figures, verdicts = fidelity.figures, fidelity.verdicts
    for measure, target in TARGETS.items():
        figure, verdict = figures[measure], verdicts[measure]
        cells = [figure.value, None, figure.itself]
        shown = [_number(value) for value in cells]
        shown[1] = _interval(figure)
        numbers = "".join(f'<td class="number">{text}</td>' for text in shown)
        yield (
            f"<tr><td>{target.level}</td><td>{escape(target.says)}</td>{numbers}<td>{target.text()}</td>"
            f'<td class="{_CLASS[verdict]}">{verdict}</td></tr>'
        )
    yield "</table>"
    yield (
        '<p class="note">The lab itself: the same figure between two rounds of the lab\'s own recordings. No simulator '
        "can be expected to agree better.</p>"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{figure.low:.3g} to {figure.high:.3g}"


def _distrust(fidelity: Fidelity) -> Iterator[str]:
    found = distrusted(fidelity)
    if not found:
        yield "<p>Nothing stands out.</p>"
        return
    yield f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in found)}</ul>"


def _outcomes(fidelity: Fidelity) -> Iterator[str]:
    grid = fidelity.transitions.grid
    if not grid:
        yield "<p>No probe was played in both worlds.</p>"
        return
    columns = sorted({(deed.action, deed.role) for deed in grid}, key=lambda one: (one[0] != "wait", one))
    yield "<p>What usually came of each action: on the lab above, simulated below. A red frame: not the same.</p>"
    heads = "".join(f"<th>{action}<br>{role or '&nbsp;'}</th>" for action, role in columns)
    yield f'<table class="grid" data-table="outcomes"><tr><th>form</th>{heads}</tr>'
    for form in dict.fromkeys(deed.form for deed in sorted(grid)):
        cells = "".join(_outcome_cell(grid.get(Deed(form, action, role))) for action, role in columns)
        yield f"<tr><th>{escape(form)}</th>{cells}</tr>"
    yield "</table>"


def _outcome_cell(cell: GridCell | None) -> str:
    if cell is None:
        return "<td></td>"
    lab, sim = (max(counts, key=lambda one: counts[one]) for counts in (cell.reference, cell.other))
    marked = " different" if cell.different else ""
    counts = "; ".join(
        f"{name}: {', '.join(f'{number} {one}' for one, number in counted.items())}"
        for name, counted in (("lab", cell.reference), ("simulated", cell.other))
    )
    return f'<td class="{lab}{marked}" title="{escape(counts)}">{SHORT[lab]}<br>{SHORT[sim]}</td>'


def _policies(fidelity: Fidelity) -> Iterator[str]:
    points = fidelity.policies.points
    if not points:
        yield "<p>Too few policies were played in both worlds: mirr collect --part policies</p>"
        return
    yield policy_scatter(points)


def _courses(fidelity: Fidelity) -> Iterator[str]:
    yield (
        '<p><span class="key lab"></span> lab, <span class="key sim"></span> simulator: the mean over plays, and the '
        f"band from {INNER[0]:g}% to {INNER[1]:g}%. The first is the users' SLI, the others are metrics of the service "
        "that is broken. The red mark is the injection, the grey one the action.</p>"
    )
    for row in rows(fidelity.pairs):
        how = "nobody acts" if row.deed == "wait" else f"{row.deed} of the culprit"
        yield f"<h3>{escape(row.form)}: {how} ({row.plays} plays)</h3>"
        yield f'<div class="row">{"".join(panel_chart(row, panel) for panel in row.panels)}</div>'


def _source(name: str, recordings: Recordings) -> Iterator[str]:
    hours = sum(one.seconds for one in recordings.by_key.values()) / 3600.0
    yield f"<h3>{name}</h3><p>{len(recordings.by_key)} plays, {recordings.void} void, {hours:.2f} hours.</p>"
    for number, session in enumerate(recordings.sessions, start=1):
        facts = {key: value for key, value in session.facts.items() if key != "parameters"}
        said = "; ".join(f"{key}: {value}" for key, value in facts.items())
        yield f'<p class="note">Session {number} in {escape(session.world)}: {escape(said)}</p>'
