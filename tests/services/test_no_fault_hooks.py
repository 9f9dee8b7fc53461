"""The services have no code for faults. Every fault comes from outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import services
from mirr.env.vocabulary import STEADY_RELEASE
from mirr.lab.releases import LAYERS
from mirr.lab.sources import release_tree
from services.data.release import VERSION

TREE = Path(services.__file__).parent
SOURCES = sorted(path for path in TREE.rglob("*") if path.suffix in (".py", ".txt") or path.name == "Dockerfile")
FAULT_WORDS = re.compile(
    r"fault|chaos|inject|sabotage|spoil|misbehav|\bbugs?\b|\bleak|simulate|\bsleep\(", re.IGNORECASE
)


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(TREE)) for path in SOURCES])
def test_no_source_of_a_service_mentions_faults(path: Path) -> None:
    found = [line for line in path.read_text().splitlines() if FAULT_WORDS.search(line)]
    allowed = ("default", "asyncio.sleep(retry_after_s)", "asyncio.sleep(0)")  # the last one only lets others work
    assert [line for line in found if not any(word in line.lower() for word in allowed)] == []


def test_services_read_only_names_and_addresses_from_the_environment() -> None:
    read = set()
    for path in SOURCES:
        read |= set(re.findall(r'environ(?:ment)?(?:\.get\(|\[)"(\w+)"', path.read_text()))
    assert read == {"DATA", "HOST", "PORT", "SERVICE"}


def test_the_services_handle_no_signals() -> None:
    assert [path for path in SOURCES if re.search(r"\bsignal\b", path.read_text())] == []


@pytest.mark.parametrize("release", [release for release in LAYERS if release != STEADY_RELEASE])
def test_every_release_but_the_steady_one_says_only_that_it_is_1_5_0(release: str) -> None:
    assert VERSION == "1.4.0"
    assert 'VERSION = "1.5.0"' in release_tree(release)["services/data/release.py"].decode()
