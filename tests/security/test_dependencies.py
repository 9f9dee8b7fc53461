"""The packages of the images. All of them are pinned by hash and listed in the documentation."""

from __future__ import annotations

import re
from email.parser import Parser

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mirr.lab.containers import LabContainers
from mirr.lab.engine import connect
from tests.paths import ROOT

LOCK = (ROOT / "services" / "requirements.txt").read_text()
PINNED = dict(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+) \\$", LOCK))
CHOSEN = dict(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+)$", (ROOT / "services" / "requirements.in").read_text()))
LISTED = dict(re.findall(r"(?m)^\| ([a-z0-9.-]+) \| (\d\S*) \|", (ROOT / "docs" / "dependencies.md").read_text()))
READ_METADATA = """
import importlib.metadata as metadata
for one in metadata.distributions(path=["/opt/packages"]):
    print("Name:", one.metadata["Name"])
    print("Version:", one.version)
    for requirement in one.requires or ():
        print("Requires-Dist:", requirement)
    print()
"""


def test_every_package_is_pinned_to_one_version_with_the_hashes_of_its_files() -> None:
    blocks = [block for block in re.split(r"(?m)^(?=[a-z])", LOCK) if not block.startswith("#")]
    assert len(blocks) == len(PINNED)
    for block in blocks:
        first, *rest = block.rstrip().splitlines()
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+ \\", first)
        assert rest
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in rest)


def test_every_chosen_package_is_pinned() -> None:
    assert CHOSEN.items() <= PINNED.items()


def test_the_documentation_lists_exactly_the_pinned_packages() -> None:
    assert LISTED == PINNED


@pytest.mark.docker
def test_an_image_holds_exactly_the_pinned_packages_and_their_requirements(real_lab: str) -> None:
    traffic = LabContainers(connect(), real_lab).traffic()
    code, output = traffic.exec_run(["python3", "-c", READ_METADATA])
    assert code == 0, output
    assert isinstance(output, bytes)
    packages = [Parser().parsestr(text) for text in output.decode().strip().split("\n\n")]
    assert {canonicalize_name(one["Name"]): one["Version"] for one in packages} == PINNED
    required = [Requirement(line) for one in packages for line in one.get_all("Requires-Dist") or ()]
    linux = {"extra": "", "sys_platform": "linux", "python_version": "3.11", "platform_system": "Linux"}
    missing = [str(one) for one in required if _applies(one, linux) and canonicalize_name(one.name) not in PINNED]
    assert missing == []


def _applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)
