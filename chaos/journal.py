"""The journal: what is about to be done is on disk before it is done, so a killed run leaves a trace to heal from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from env.vocabulary import Fault, Service, UnknownName


@dataclass(frozen=True, kw_only=True)
class OpenFault:
    """A fault that the journal holds as injected, and neither ended nor reverted."""

    fault: Fault
    at: float  # Unix time


class Journal:
    """An append-only file of JSON lines, each on disk before the call returns."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._path = folder / "journal.jsonl"
        self._now = now

    def injecting(self, fault: Fault) -> None:
        """Write that `fault` is about to be injected."""
        self._append({"act": "inject", "fault": str(fault)})

    def deploying(self, service: Service, release: str) -> None:
        """Write that `release` is about to be deployed to `service`, which is no fault but is put back all the same."""
        self._append({"act": "deploy", "service": service.value, "release": release})

    def ended(self, fault: Fault) -> None:
        """Write that `fault` is over. What it left behind, such as a redeployed container, is found by looking."""
        self._append({"act": "ended", "fault": str(fault)})

    def reverted(self) -> None:
        """Write that everything has been put back. What came before is not needed any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"act": "reverted", "at": self._now()}) + "\n")
        os.replace(fresh, self._path)

    def open_faults(self) -> list[OpenFault]:
        """The faults injected since everything was last put back and not ended since, oldest first."""
        found: list[OpenFault] = []
        for entry in self._entries():
            if entry.get("act") == "reverted":
                found.clear()
            elif entry.get("act") in ("inject", "ended"):
                try:
                    named = OpenFault(fault=Fault.parse(entry["fault"]), at=float(entry["at"]))
                except (KeyError, TypeError, ValueError, AttributeError, UnknownName):
                    continue  # a line cut off by a crash or written by another version names nothing to heal
                if entry["act"] == "inject":
                    found.append(named)
                else:
                    found = [one for one in found if one.fault != named.fault]
        return found

    def remember_blueprint(self, service: Service, blueprint: dict[str, Any]) -> None:
        """Keep what the service's container is made of, before it is taken away."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = {key: blueprint[key] for key in ("Name", "Config", "HostConfig", "Mounts")}
        fresh = self._folder / f"{service}.json.new"
        with fresh.open("w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._folder / f"{service}.json")

    def recall_blueprint(self, service: Service) -> dict[str, Any] | None:
        """What was kept by `remember_blueprint`, or None."""
        try:
            kept: dict[str, Any] = json.loads((self._folder / f"{service}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return kept

    def _append(self, entry: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(entry | {"at": self._now()}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _entries(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a run that was killed while it wrote
            if isinstance(entry, dict):
                entries.append(entry)
        return entries
