"""Release 1.5.0 of each service: each boot converts rows of its data, and release 1.4.0 can still read them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import services
import services.data
from services.data import auth, gateway, inventory, orders, payments
from services.data.catalogue import NOUNS, PER_CATEGORY
from services.kit.store import connect

TREE = Path(services.__file__).parent
CHANGED = TREE / "releases" / "1.5.0"

# For each service: how the data module of a release reads a row, and the number of rows.
Read = Callable[[ModuleType, sqlite3.Connection, int], object]
READS: dict[str, tuple[Read, int]] = {
    "gateway": (lambda data, rows, n: data.read_storefront(rows, n + 1), gateway.STOREFRONTS),
    "auth": (lambda data, rows, n: data.read_credential(rows, f"user-{n:03d}"), auth.USERS),
    "inventory": (lambda data, rows, n: data.read_product(rows, n + 1), len(NOUNS) * PER_CATEGORY),
    "orders": (lambda data, rows, n: data.read_zone(rows, n + 1), orders.ZONES),
    "payments": (lambda data, rows, n: data.read_account(rows, f"user-{n:03d}"), payments.ACCOUNTS),
}
ERRORS = {
    "gateway": (TypeError, "string indices must be integers, not 'str'"),
    "auth": (
        ValueError,
        "Invalid base64-encoded string: number of data characters (33) cannot be 1 more than a multiple of 4",
    ),
    "inventory": (ValueError, "could not convert string to float: '84,18'"),
    "orders": (ZeroDivisionError, "float division by zero"),
    "payments": (TypeError, "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"),
}
EARLIER: dict[str, ModuleType] = {
    "gateway": gateway,
    "auth": auth,
    "inventory": inventory,
    "orders": orders,
    "payments": payments,
}


@pytest.fixture(autouse=True)
def _modules_that_only_the_release_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the release's modules import the others of its folder, as in an image."""
    monkeypatch.setattr(services.data, "__path__", [*services.data.__path__, str(CHANGED / "data")])


def _next_release(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"next_{name}", CHANGED / "data" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _failed(name: str, release: ModuleType, rows: sqlite3.Connection) -> list[Exception]:
    read, count = READS[name]
    failures: list[Exception] = []
    for number in range(count):
        try:
            assert read(release, rows, number) is not None
        except (ArithmeticError, TypeError, ValueError) as error:
            failures.append(error)
    return failures


@pytest.mark.parametrize("name", READS)
def test_every_boot_of_the_next_release_spoils_half_of_the_good_rows(name: str, data: Path) -> None:
    rows, release, count = connect(data / f"{name}.db"), _next_release(name), READS[name][1]
    shares = []
    for _ in range(3):
        release.upgrade(rows)
        shares.append(len(_failed(name, release, rows)) / count)
    assert shares == pytest.approx([0.5, 0.75, 0.875], abs=0.01)


@pytest.mark.parametrize("name", READS)
def test_the_next_release_of_each_service_raises_its_own_error(name: str, data: Path) -> None:
    rows, release = connect(data / f"{name}.db"), _next_release(name)
    release.upgrade(rows)
    kind, text = ERRORS[name]
    failures = _failed(name, release, rows)
    assert all(isinstance(failure, kind) for failure in failures)
    assert text in {str(failure) for failure in failures}


@pytest.mark.parametrize("name", READS)
def test_the_earlier_release_reads_all_rows_after_the_next_one_has_run(name: str, data: Path) -> None:
    rows, (read, count) = connect(data / f"{name}.db"), READS[name]
    before = [read(EARLIER[name], rows, number) for number in range(count)]
    for _ in range(4):
        _next_release(name).upgrade(rows)
    EARLIER[name].upgrade(rows)
    assert [read(EARLIER[name], rows, number) for number in range(count)] == before


@pytest.mark.parametrize("name", READS)
def test_the_next_release_reads_unconverted_rows_as_before(name: str, data: Path) -> None:
    rows, release, (read, count) = connect(data / f"{name}.db"), _next_release(name), READS[name]
    release.upgrade(rows)
    for number in range(count):
        try:
            row = read(release, rows, number)
        except (ArithmeticError, TypeError, ValueError):
            continue
        assert vars(row) == vars(read(EARLIER[name], rows, number))


JOURNEY_REQUESTS = {
    "gateway": "[c.get('/browse', params={'q': 'lamp', 'store': n + 1}) for n in range(64)]",
    "auth": "[c.post('/sessions', json={'username': f'user-{n:03d}', 'password': f'user-{n:03d}-secret'})"
    " for n in range(300)]",
    "inventory": "[c.get('/search', params={'q': f'amber glass {noun}'}) for noun in NOUNS]",
    "orders": "[c.post('/orders', headers={'Idempotency-Key': f'k{n}'}, json={'username': 'user-001', 'zone': n + 1,"
    " 'lines': [{'product_id': 1, 'quantity': 1}]}) for n in range(64)]",
    "payments": "[c.post('/charges', headers={'Idempotency-Key': f'k{n}'},"
    " json={'account': f'user-{n:03d}', 'amount_cents': 100}) for n in range(300)]",
}
PROGRAM = """
import importlib, json, sys
from pathlib import Path
from fastapi.testclient import TestClient
from services.data.catalogue import NOUNS
from services.kit import logs
from services.kit.settings import Settings
from services.kit.upstreams import UpstreamAnswer

class Behind:
    async def call(self, upstream, method, path, **_):
        line = {"product_id": 1, "quantity": 1, "unit_price_cents": 100}
        status = 200 if path == "/search" else 201
        return UpstreamAnswer(status=status, content={"hits": [], "lines": [line], "signature": "s"})
    async def close(self):
        pass

def play(name, requests):
    logs.set_up(name)
    create = importlib.import_module(f"services.{name}").create
    settings = Settings(service=name, database=Path(sys.argv[1]) / f"{name}.db")
    app = create(settings, Behind()) if name in ("gateway", "orders") else create(settings)
    with TestClient(app, raise_server_exceptions=False) as c:
        version = c.get("/healthz").json()["release"]
        answers = requests(c)
    failed = sum(a.status_code == 500 for a in answers) / len(answers)
    print(json.dumps({"service": name, "release": version, "failed": failed}))

"""


@pytest.fixture(scope="module")
def of_the_next_release(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """For each service of the next release: its log, and then what became of its requests.

    One process plays all services, because its imports take a second.
    """
    folder = tmp_path_factory.mktemp("next-release")
    shutil.copytree(TREE, folder / "services", ignore=shutil.ignore_patterns("__pycache__", "releases"))
    shutil.copytree(CHANGED, folder / "services", dirs_exist_ok=True)
    data = shutil.copytree(seeded, folder / "data")
    plays = [f"play({name!r}, lambda c: {requests})\n" for name, requests in JOURNEY_REQUESTS.items()]
    command = [sys.executable, "-c", PROGRAM + "".join(plays), str(data)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: [line for line in lines if line["service"] == name] for name in READS}


@pytest.mark.thorough
@pytest.mark.parametrize("name", READS)
def test_half_of_the_requests_fail_with_the_next_release(
    name: str, of_the_next_release: dict[str, list[dict[str, Any]]]
) -> None:
    *log, result = of_the_next_release[name]
    assert result["release"] == "1.5.0"
    assert 0.4 <= result["failed"] <= 0.6
    assert any((line["level"], line["event"]) == ("error", "request_failed") for line in log)
