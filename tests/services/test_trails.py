"""The releases with a trail, each run as its image runs it: what it costs, what it leaves behind, how it ends."""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mirr.lab.releases import CRASHING_RELEASE, LEAKY_RELEASE, SLOW_RELEASE
from mirr.lab.sources import release_tree
from tests.services.conftest import NAMES
from tests.services.release_types import lay_out

PROGRAM = """
import hashlib, importlib, json, sys
from pathlib import Path
from fastapi.testclient import TestClient
from services.kit import logs
from services.kit.settings import Settings

name, folder, requests, scale = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
if scale != 1.0:  # weaker seals take less time, and the growth from boot to boot is the same
    import services.kit.trail as trail
    trail.STRENGTH *= scale
logs.set_up(name)
create = importlib.import_module(f"services.{name}").create

worked = 0
stretch = hashlib.pbkdf2_hmac

def counted(name, password, salt, iterations):
    global worked
    worked += iterations
    return stretch(name, password, salt, iterations)

def memory_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

with TestClient(create(Settings(service=name, database=folder / f"{name}.db")), raise_server_exceptions=False) as c:
    began, hashlib.pbkdf2_hmac = memory_bytes(), counted
    codes = [c.get("/nothing").status_code for _ in range(requests)]
    told = {"release": c.get("/healthz").json()["release"], "metrics": c.get("/metrics").text}
    told |= {"codes": sorted(set(codes)), "began": began, "grew": memory_bytes() - began, "iterations": worked}
print(json.dumps(told))
"""


class Trailed:
    """A service at a release, on a volume that it keeps from boot to boot."""

    def __init__(self, release: str, name: str, tree: Path, data: Path) -> None:
        self._name, self._tree, self._data = name, tree, data
        lay_out(release, tree)

    def boot(self, requests: int, scale: float = 1.0) -> subprocess.CompletedProcess[str]:
        """Start it, send it requests, and end it, unless it ends itself."""
        command = [sys.executable, "-c", PROGRAM, self._name, str(self._data), str(requests), str(scale)]
        return subprocess.run(command, cwd=self._tree, capture_output=True, text=True)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def logged(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, done.stdout.splitlines()) if "event" in line]


def test_each_boot_of_the_slow_release_adds_the_same_work_to_every_request(data: Path, tmp_path: Path) -> None:
    service = Trailed(SLOW_RELEASE, "payments", tmp_path / "tree", data)
    an_entry = 8 * round(0.01 * 14.0 * 25_000 / 8)  # iterations: the severity times what an ordinary request takes
    assert [told(service.boot(5, scale=0.01))["iterations"] for _ in range(3)] == [5 * an_entry * n for n in (1, 2, 3)]


def test_a_trail_that_somebody_has_changed_is_noticed(data: Path, tmp_path: Path) -> None:
    service = Trailed(SLOW_RELEASE, "auth", tmp_path / "tree", data)
    service.boot(1, scale=0.01)
    with sqlite3.connect(data / "auth.db") as database:
        database.execute("UPDATE starts SET entry = 'never'")
    assert told(service.boot(1, scale=0.01))["codes"] == [500]


def test_the_leaky_release_keeps_memory_of_every_request_and_loads_some_of_it_at_a_boot(
    data: Path, tmp_path: Path
) -> None:
    service = Trailed(LEAKY_RELEASE, "payments", tmp_path / "tree", data)
    first, second, third = (told(service.boot(40)) for _ in range(3))
    for_a_request = 0.04 * (192 << 20) / 11.4
    assert first["grew"] == pytest.approx(40 * for_a_request, rel=0.15)
    carried = round(2.0 * 11.4) * for_a_request
    assert second["began"] - first["began"] == pytest.approx(carried, rel=0.15)
    assert third["began"] - second["began"] == pytest.approx(carried, rel=0.15)


def test_every_process_of_the_crashing_release_dies_after_half_as_many_requests(data: Path, tmp_path: Path) -> None:
    service = Trailed(CRASHING_RELEASE, "payments", tmp_path / "tree", data)
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


def test_a_release_with_a_trail_counts_no_scrape_and_no_health_check(data: Path, tmp_path: Path) -> None:
    service = Trailed(CRASHING_RELEASE, "payments", tmp_path / "tree", data)
    first = round(3.0 * 11.4)
    assert service.boot(first).returncode == 0  # one more request would end it, and two scrapes came after these


@pytest.mark.parametrize(
    ("release", "name"),
    [(SLOW_RELEASE, "gateway"), (SLOW_RELEASE, "auth"), (LEAKY_RELEASE, "inventory"), (CRASHING_RELEASE, "orders")],
)
def test_the_earlier_release_is_unharmed_by_what_a_trail_leaves_on_the_volume(
    release: str, name: str, data: Path, tmp_path: Path
) -> None:
    with sqlite3.connect(data / f"{name}.db") as database:
        before = _rows(database)
    with_trail = Trailed(release, name, tmp_path / "tree", data)
    for _ in range(2):
        found = told(with_trail.boot(2, scale=0.01 if release == SLOW_RELEASE else 1.0))
        assert found["release"] == "1.5.0"
        assert 'build_info{version="1.5.0"} 1.0' in found["metrics"]
    shutil.rmtree(tmp_path / "tree")
    assert told(Trailed("1.4.0", name, tmp_path / "tree", data).boot(2))["release"] == "1.4.0"
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
