"""Writes the table of fitted parameters into docs/fidelity.md: `python -m tests.bridge.calibration.fitter_table`."""

from __future__ import annotations

import re
from pathlib import Path

from mirr.bridge.calibration.fitters import FITTERS
from tests.paths import ROOT

PAGE = ROOT / "docs" / "fidelity.md"

_MARKED = re.compile(r"(<!-- fitters -->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    """The table. A parameter of each service has one row."""
    rows = []
    for fitter in FITTERS:
        names = dict.fromkeys(re.sub(r"^services\.\w+\.", "services.*.", name) for name in fitter.names)
        listed = ", ".join(f"`{name}`" for name in names)
        rows.append(f"| {listed} | {fitter.kind} | {fitter.probe} |")
    return "\n".join(["| parameter | belongs to | read from |", "|---|---|---|", *rows])


def with_table(page: str) -> str:
    """The page with the table of today."""
    return _MARKED.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", page)


def write(page: Path = PAGE) -> None:
    """Write the page again."""
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write()
