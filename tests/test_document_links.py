"""Every link from a document to a file of the project leads to a file and a heading that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.test_documented_commands import DOCUMENTS

_BLOCK = re.compile(r"```.*?```", re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s#]*)#?([^)\s]*)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The names of a document's headings, as GitHub makes them."""
    kept = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in _HEADING.findall(_BLOCK.sub("", text)))
    return {heading.replace(" ", "-") for heading in kept}


def dead_links(document: Path, text: str) -> list[str]:
    """The links in a text that lead nowhere."""
    dead = []
    for file, anchor in _LINK.findall(_BLOCK.sub("", text)):
        target = document.parent / file if file else document
        if not target.exists():
            dead.append(file)
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            dead.append(f"{file}#{anchor}")
    return dead


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    assert dead_links(path, path.read_text(encoding="utf-8")) == []


def test_a_link_to_a_file_or_a_heading_that_there_is_not_is_found() -> None:
    text = "[a](docs/none.md) [b](docs/agents.md#nothing) [c](docs/agents.md#over-http) [d](https://example.org/x)"
    assert dead_links(ROOT / "README.md", text) == ["docs/none.md", "docs/agents.md#nothing"]
