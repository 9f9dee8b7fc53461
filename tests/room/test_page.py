"""The page by its text: it needs nothing from elsewhere, and it never makes markup of a text."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from mirr.room.server import PAGE

OWN = sorted(path for path in PAGE.iterdir() if path.suffix in {".html", ".css", ".js", ".svg"})


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_names_no_other_server(path: Path) -> None:
    text = path.read_text()
    named = re.findall(r"https?://[\w.]+", text)
    assert set(named) <= {"http://www.w3.org"}  # the name of SVG, which nobody loads


@pytest.mark.parametrize("name", ["room.js", "incident.js", "paper.js"])
def test_a_text_is_never_made_markup(name: str) -> None:
    text = (PAGE / name).read_text()
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc")
    assert [word for word in forbidden if word in text] == []


def test_the_page_has_no_script_or_style_of_its_own_so_that_none_is_allowed() -> None:
    text = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text) == []


def test_the_charts_are_the_ones_that_were_published() -> None:
    # uPlot 1.6.32 from the npm registry.
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (PAGE / "vendor").iterdir()}
    assert found == {
        "uPlot.LICENSE": "8f989229699b4fe2",
        "uPlot.css": "df630c6a8d6f8eea",
        "uPlot.js": "19c8d4c6ad88929a",
    }
