"""`python3 -m services.seed NAME PATH`: create a service's database, filled with the shop's data."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from services.kit import store


def seed(name: str, path: Path) -> None:
    """Write the database of service `name` to a new file at `path`. The data is the same every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = importlib.import_module(f"services.data.{name}")
    database = store.connect(path, create=True)
    try:
        database.executescript(data.SCHEMA)
        with store.transaction(database):
            data.seed(database)
        # Merge the write-ahead log into the database: the image then carries a single file.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        database.close()


def main(arguments: list[str]) -> int:
    """Returns 0 when done, 2 for wrong usage."""
    if len(arguments) != 2:
        print("usage: python3 -m services.seed NAME PATH", file=sys.stderr)
        return 2
    name, path = arguments[0], Path(arguments[1])
    if path.exists():
        print(f"{path} already exists; seeding never overwrites data", file=sys.stderr)
        return 2
    seed(name, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
