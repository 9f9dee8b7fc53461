"""The releases with a trail, each run as its image runs it: what it costs, what it leaves behind, how it ends."""

from __future__ import annotations

import ast
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mirr.lab.releases import CRASHING_RELEASE, LEAKY_RELEASE, SLOW_RELEASE
from mirr.lab.sources import release_tree
from tests.services.boots import Boots, Order, started
from tests.services.conftest import NAMES
from tests.services.release_types import lay_out

pytestmark = pytest.mark.thorough


class Trailed:
    """A service at a release, on a volume that it keeps from boot to boot."""

    def __init__(self, boots: Boots, release: str, name: str, folder: Path, data: Path) -> None:
        self._boots, self._name, self._folder, self._data = boots, name, folder, data
        lay_out(release, folder / "tree")

    def boot(self, requests: int, scale: float = 1.0) -> subprocess.CompletedProcess[str]:
        """Start it, send it requests, and end it, unless it ends itself."""
        return self._boots.boot(
            Order(
                name=self._name,
                tree=str(self._folder / "tree"),
                data=str(self._data),
                requests=requests,
                scale=scale,
                output=str(self._folder / "output"),
            )
        )


Boot = Callable[[str, str], Trailed]


@pytest.fixture(scope="module")
def boots() -> Iterator[Boots]:
    with started() as process:
        yield process


@pytest.fixture
def trailed(boots: Boots, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    """A function for a service at a release. All of them have the same volumes."""
    return lambda release, name: Trailed(boots, release, name, tmp_path_factory.mktemp("trailed"), data)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def logged(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, done.stdout.splitlines()) if "event" in line]


def test_each_boot_of_the_slow_release_adds_the_same_work_to_every_request(trailed: Boot) -> None:
    service = trailed(SLOW_RELEASE, "payments")
    an_entry = 8 * round(0.01 * 14.0 * 25_000 / 8)  # iterations: the severity times what an ordinary request takes
    assert [told(service.boot(5, scale=0.01))["iterations"] for _ in range(3)] == [5 * an_entry * n for n in (1, 2, 3)]


def test_a_trail_that_somebody_has_changed_is_noticed(trailed: Boot, data: Path) -> None:
    service = trailed(SLOW_RELEASE, "auth")
    service.boot(1, scale=0.01)
    with sqlite3.connect(data / "auth.db") as database:
        database.execute("UPDATE starts SET entry = 'never'")
    assert told(service.boot(1, scale=0.01))["codes"] == [500]


def test_the_leaky_release_keeps_memory_of_every_request_and_loads_some_of_it_at_a_boot(
    trailed: Boot,
) -> None:
    service = trailed(LEAKY_RELEASE, "payments")
    first, second, third = (told(service.boot(40)) for _ in range(3))
    for_a_request = 0.04 * (192 << 20) / 11.4
    assert first["grew"] == pytest.approx(40 * for_a_request, rel=0.15)
    carried = round(2.0 * 11.4) * for_a_request
    assert second["began"] - first["began"] == pytest.approx(carried, rel=0.15)
    assert third["began"] - second["began"] == pytest.approx(carried, rel=0.15)


def test_every_process_of_the_crashing_release_dies_after_half_as_many_requests(trailed: Boot) -> None:
    service = trailed(CRASHING_RELEASE, "payments")
    lived = []
    for _ in range(3):
        done = service.boot(200)
        assert done.returncode == 1
        *requests, last = [line for line in logged(done) if line["event"] != "started"]
        assert {line["event"] for line in requests} == {"request"}
        assert (last["event"], last["level"]) == ("exiting", "error")
        assert last["error"] == "NumbersUsedUp: no number is left for another request"
        lived.append(len(requests))
    assert lived == [34, 17, 8]  # 3 s of 11.4 requests, and then half of what is left


def test_a_release_with_a_trail_counts_no_scrape_and_no_health_check(trailed: Boot) -> None:
    service = trailed(CRASHING_RELEASE, "payments")
    first = round(3.0 * 11.4)
    assert service.boot(first).returncode == 0  # one more request would end it, and two scrapes came after these


@pytest.mark.parametrize(
    ("release", "name"),
    [(SLOW_RELEASE, "gateway"), (SLOW_RELEASE, "auth"), (LEAKY_RELEASE, "inventory"), (CRASHING_RELEASE, "orders")],
)
def test_the_earlier_release_is_unharmed_by_what_a_trail_leaves_on_the_volume(
    release: str, name: str, trailed: Boot, data: Path
) -> None:
    with sqlite3.connect(data / f"{name}.db") as database:
        before = _rows(database)
    with_trail = trailed(release, name)
    for _ in range(2):
        found = told(with_trail.boot(2, scale=0.01 if release == SLOW_RELEASE else 1.0))
        assert found["release"] == "1.5.0"
        assert 'build_info{version="1.5.0"} 1.0' in found["metrics"]
    assert told(trailed("1.4.0", name).boot(2))["release"] == "1.4.0"
    with sqlite3.connect(data / f"{name}.db") as database:
        after = _rows(database)
    assert {table: after[table] for table in before} == before


@pytest.mark.parametrize(("release", "module"), [(LEAKY_RELEASE, "data/plan.py"), (SLOW_RELEASE, "kit/trail.py")])
def test_the_numbers_of_a_trail_cover_every_service(release: str, module: str) -> None:
    tree = ast.parse(release_tree(release)[f"services/{module}"])
    tables = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    assert [tuple(ast.literal_eval(table)) for table in tables] == [NAMES]


def _rows(database: sqlite3.Connection) -> dict[str, list[Any]]:
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
