"""A room that is used for long: round after round in one room, with a restart now and then. It prints its figures.

    python -m tests.room.overnight --rounds 10000

It needs no server and no browser: it measures the hall, its rooms and their file. It fails if a restart changes what
anybody sees, if the file has more rows than one round makes, or if memory grew by more than a tenth.
"""

from __future__ import annotations

import argparse
import gc
import json
import sqlite3
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mirr.cli.postmortem_command import explain
from mirr.room.hall import Hall
from mirr.room.store import Store
from tests.room.rooms import Seats, seats
from tests.room.test_restart import everything

TEAMS = ("Owls", "Cats")
PARTS = 10  # after each, the figures are taken and the hall starts again
ACTIONS = ("check_logs(payments)", "diagnose(payments, bad_deploy)", "rollback(payments)", "wait")
MOST_ROWS = len(TEAMS) * (1 + len(ACTIONS)) + 3  # they joined and acted; chosen, started, over
MOST_GROWTH = 1.1  # of the memory after the first part; what is loaded lazily is there by then


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is kept after so many rounds."""

    rounds: int
    resident_mb: float
    rows: int
    file_kb: float
    round_ms: float  # mean, since the last figures
    restart_ms: float


def _play_round(found: Seats, seed: int) -> None:
    found.ask(found.trainer, "choose", incident={"tier": "easy", "seed": seed})
    found.ask(found.trainer, "start")
    for step, action in enumerate(ACTIONS):
        for team in TEAMS:
            with found.hall.inside(found.code) as room:
                assert room is not None
                over = room.teams[team].over
            if not over:
                found.act(team, action, step)
    found.time.s += 60.0
    found.ask(found.trainer, "end")


def _restarted(found: Seats, path: Path) -> float:
    """Close the hall and open it again. Returns how long that took, in ms. Fails if anybody sees something else."""
    before = everything(found.hall, found.code)
    began = time.perf_counter()
    found.hall.close()
    found.hall = Hall(Store(path), explain=explain, now=found.time)
    took_ms = (time.perf_counter() - began) * 1000
    assert found.hall.lost == []
    assert everything(found.hall, found.code) == before
    return took_ms


def _rows(path: Path) -> int:
    with sqlite3.connect(path) as file:
        (count,) = file.execute("SELECT count(*) FROM entry").fetchone()
    file.close()
    return int(count)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def overnight(rounds: int, path: Path) -> list[Figures]:
    """Play that many rounds in one room, whose file is `path`."""
    found = seats(*TEAMS, path=path)
    taken: list[Figures] = []
    done = 0
    for part in range(1, PARTS + 1):
        until = rounds * part // PARTS
        began, first = time.perf_counter(), done
        while done < until:
            _play_round(found, done)
            done += 1
        round_ms = (time.perf_counter() - began) * 1000 / max(1, done - first)
        restart_ms = _restarted(found, path)
        gc.collect()
        taken.append(
            Figures(
                rounds=done,
                resident_mb=round(_resident_mb(), 1),
                rows=_rows(path),
                file_kb=round(path.stat().st_size / 1024, 1),
                round_ms=round(round_ms, 1),
                restart_ms=round(restart_ms, 1),
            )
        )
    found.hall.close()
    return taken


def problems(taken: list[Figures]) -> list[str]:
    """What grew, a sentence each."""
    first, last = taken[0], taken[-1]
    found = []
    if last.rows > MOST_ROWS:
        found.append(f"the file has {last.rows} rows, and a round makes {MOST_ROWS}")
    if last.resident_mb > first.resident_mb * MOST_GROWTH:
        found.append(f"memory grew from {first.resident_mb} MB to {last.resident_mb} MB")
    return found


def main() -> None:
    """Play, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = overnight(given.rounds, Path(folder) / "rooms.sqlite")
    for figures in taken:
        print(json.dumps(asdict(figures)))
    found = problems(taken)
    if found:
        raise SystemExit("; ".join(found))


if __name__ == "__main__":
    main()
