"""The journal of a lab. What is about to be done is on disk before it is done, so a killed run can be reverted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirr.chaos.errors import JournalError
from mirr.chaos.leases import MAX_LEASE_S, Clocks, leased_until
from mirr.env.vocabulary import Fault, Service, UnknownName, parse_service
from mirr.lab.state import remedy_for

_BLUEPRINT_KEYS = ("Name", "Config", "HostConfig", "Mounts", "NetworkSettings")


@dataclass(frozen=True, kw_only=True)
class OpenFault:
    """A fault that the journal holds as injected, and neither ended nor reverted."""

    fault: Fault
    at: float  # Unix time
    until: float  # Unix time at which its time to live is over


@dataclass(frozen=True, kw_only=True)
class OpenAct:
    """Something done to a service that has to be reverted: a fault, or a harmless deploy."""

    service: Service
    fault: Fault | None
    at: float
    until: float


def nothing_was_done(why: str, error: OSError) -> JournalError:
    """The error for an act that did not begin, because the state folder would not keep it."""
    return JournalError(f"{why}, so nothing was done: {error.strerror}; next: {remedy_for(error)}")


class Journal:
    """An append-only file of JSON lines, each on disk before the call returns. It keeps containers' blueprints too."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] | None = None,  # of the machine, unless `now` is another clock
    ) -> None:
        self.folder = folder
        self._path = folder / "journal.jsonl"
        self._clocks = Clocks(now, ticks)

    def injecting(self, fault: Fault, *, lease_s: float = MAX_LEASE_S, holder: str | None = None) -> None:
        """Write that `fault` is about to be injected, to last `lease_s`, or as long as `holder` renews its lease."""
        self._append({"act": "inject", "fault": str(fault)}, lease_s, holder)

    def deploying(
        self, service: Service, release: str, *, lease_s: float = MAX_LEASE_S, holder: str | None = None
    ) -> None:
        """Write that `release` is about to be deployed to `service`. This is not a fault, but it is reverted too."""
        self._append({"act": "deploy", "service": service.value, "release": release}, lease_s, holder)

    def ended(self, fault: Fault) -> None:
        """Write that `fault` is over. What it left behind, such as a redeployed container, is found by looking."""
        self._append({"act": "ended", "fault": str(fault)})

    def undeployed(self, service: Service) -> None:
        """Write that the harmless deploy to `service` is over."""
        self._append({"act": "undeployed", "service": service.value})

    def over(self, act: OpenAct) -> None:
        """Write that `act` has been reverted."""
        if act.fault is not None:
            self.ended(act.fault)
        else:
            self.undeployed(act.service)

    def reverted(self) -> None:
        """Write that everything has been reverted. The lines before are not needed any more."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"act": "reverted"} | self._clocks.stamp()) + "\n")
            os.replace(fresh, self._path)
        except OSError:
            self._forget()
        for lease in self.folder.glob("lease-*.json"):
            lease.unlink(missing_ok=True)

    def _forget(self) -> None:
        """Delete the journal. This means the same as a line `reverted`, and needs no space on a full disk."""
        try:
            self._path.unlink(missing_ok=True)
        except NotADirectoryError:
            return  # there is no journal
        except OSError as error:
            raise JournalError(
                f"everything was reverted, but the journal at {self._path} still says otherwise: {error.strerror}; "
                "next: make its folder writable, then mirr revert"
            ) from error

    def open_faults(self) -> list[OpenFault]:
        """The faults that were injected since the last revert and have not ended, oldest first."""
        return [
            OpenFault(fault=act.fault, at=act.at, until=act.until) for act in self.open_acts() if act.fault is not None
        ]

    def open_acts(self) -> list[OpenAct]:
        """Everything that was done since the last revert and is not over, oldest first."""
        found: list[OpenAct] = []
        for entry in self._entries():
            match entry.get("act"):
                case "reverted":
                    found.clear()
                case "inject" | "deploy":
                    act = self._parsed(entry)
                    found += [act] if act is not None else []
                case "ended" | "undeployed":
                    over = self._parsed(entry)
                    if over is not None:
                        found = [one for one in found if (one.service, one.fault) != (over.service, over.fault)]
        return found

    def calm_since(self) -> float:
        """The Unix time of the last revert or end of a fault. Measurements from before it still show that fault."""
        over = [entry for entry in self._entries() if entry.get("act") in ("reverted", "ended", "undeployed")]
        return max(map(self._written_at, over), default=0.0)

    def _written_at(self, entry: dict[str, Any]) -> float:
        try:
            return self._clocks.written_at(entry)
        except (KeyError, TypeError, ValueError):
            return 0.0

    def _parsed(self, entry: dict[str, Any]) -> OpenAct | None:
        """The line as an act. None if another version wrote it and it names something that we cannot revert."""
        try:
            fault = Fault.parse(entry["fault"]) if "fault" in entry else None
            service = parse_service(entry["service"]) if fault is None else fault.service
            at, until = self._clocks.written_at(entry), self._clocks.ends_at(entry)
        except (KeyError, TypeError, ValueError, AttributeError, UnknownName):
            return None
        holder = entry.get("holder")
        if isinstance(holder, str):
            until = max(until, leased_until(self.folder, holder, self._clocks))
        return OpenAct(service=service, fault=fault, at=at, until=until)

    def remember_blueprint(self, name: str, blueprint: dict[str, Any]) -> None:
        """Keep what the container of that Compose name is made of, so that it can be recreated."""
        kept = {key: blueprint[key] for key in _BLUEPRINT_KEYS if key in blueprint}
        fresh = self.folder / f"{name}.json.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("w") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.folder / f"{name}.json")
        except OSError as error:
            raise self._unwritable(error) from error

    def recall_blueprint(self, name: str) -> dict[str, Any] | None:
        """What was kept by `remember_blueprint`, or None."""
        try:
            kept: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None
        return kept

    def _append(self, entry: dict[str, Any], lease_s: float | None = None, holder: str | None = None) -> None:
        entry = entry | self._clocks.stamp(lease_s)
        if holder is not None:
            entry["holder"] = holder
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                # A full disk or a kill may have cut off the last line. This line must not become a part of it.
                begun = b"" if self._ends_with_a_line() else b"\n"
                file.write(begun + json.dumps(entry).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> JournalError:
        return nothing_was_done(f"the journal in {self.folder} cannot be written", error)

    def _ends_with_a_line(self) -> bool:
        with self._path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _entries(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise JournalError(
                f"the journal at {self._path} cannot be read: {error.strerror}; next: mirr revert, which then "
                "reverts everything that could be broken"
            ) from error
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed while it wrote, before it did anything
            if isinstance(entry, dict):
                entries.append(entry)
        return entries
