"""Writes the tables of faults in README.md and docs/architecture.md from the modules of the forms.

`python -m tests.chaos.fault_tables` updates both pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mirr.chaos.faults import faults, texts_of
from mirr.env.vocabulary import REMEDY, Fault, Restart, Rollback, ScaleUp, Service
from tests.paths import ROOT

FIXES = {Restart: "restart", Rollback: "rollback", ScaleUp: "scale_up"}


def _one_fault_per_form() -> list[Fault]:
    """One fault for every form of every mode, all on one service."""
    return list(faults(service=Service.ORDERS))


def _name(fault: Fault) -> str:
    return f"`{fault.mode}/{fault.form}`" if fault.form else f"`{fault.mode}`"


def _readme() -> str:
    rows = [
        f"| {_name(fault)} | {texts_of(fault, 'a service').happens} | `{FIXES[REMEDY[fault.mode]]}` |"
        for fault in _one_fault_per_form()
    ]
    return "\n".join(["| mode | what really happens | what fixes it |", "|---|---|---|", *rows])


def _architecture() -> str:
    rows = []
    for fault in _one_fault_per_form():
        texts = texts_of(fault, "the service")
        rows.append(f"| {_name(fault)} | {texts.happens} | {texts.fix} | {texts.other_fixes} |")
    return "\n".join(["| mode | what happens | the right fix | the other fixes |", "|---|---|---|---|", *rows])


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": _readme,
    ROOT / "docs" / "architecture.md": _architecture,
}
"""The function that makes the table of each page."""

_MARKED = re.compile(r"(<!-- table: faults -->\n).*?(<!-- end -->)", re.DOTALL)


def updated(page: Path) -> str:
    """The text of the page with its table updated. Raises ValueError unless the page has exactly one table."""
    text = page.read_text(encoding="utf-8")
    table = PAGES[page]()
    written, count = _MARKED.subn(lambda marks: f"{marks[1]}{table}\n{marks[2]}", text)
    if count != 1:
        raise ValueError(f"{page.name} has {count} tables of faults between marks; it should have one")
    return written


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(updated(each), encoding="utf-8")
