"""The journal of a lab. What is about to be done is on disk before it is done, so a killed run can be reverted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mirr.chaos.errors import JournalError
from mirr.chaos.leases import MAX_LEASE_S, Clocks, leased_until
from mirr.env.vocabulary import Fault, Service, TrafficChanges, UnknownName, parse_service
from mirr.lab.state import remedy_for

_REVERTED = "reverted"
_BLUEPRINT_KEYS = ("Name", "Config", "HostConfig", "Mounts", "NetworkSettings")


@dataclass(frozen=True, kw_only=True)
class OpenFault:
    """A fault that the journal holds as injected, and neither ended nor reverted."""

    fault: Fault
    at: float  # Unix time
    until: float  # Unix time at which its time to live is over


class Act(StrEnum):
    """What can be open, by the name that the lines of the journal have for it."""

    FAULT = "inject"
    DEPLOY = "deploy"  # a harmless one
    BURST = "burst"
    TRAFFIC = "traffic"


_OVER: dict[Act, str] = {
    Act.FAULT: "ended",
    Act.DEPLOY: "undeployed",
    Act.BURST: "burst ended",
    Act.TRAFFIC: "traffic ended",
}
"""What the lines are called that say that such a thing is over."""

_ACT_OVER = {over: act for act, over in _OVER.items()}


@dataclass(frozen=True, kw_only=True)
class OpenAct:
    """Something done to the lab that has to be reverted."""

    act: Act
    service: Service | None  # None for traffic: it is that of all users
    fault: Fault | None
    traffic: TrafficChanges | None = None
    at: float  # Unix time
    until: float  # Unix time at which its time to live is over

    @property
    def what(self) -> tuple[Act, Service | None, Fault | None]:
        """What it is, without its times. What ends one ends each that is the same."""
        return self.act, self.service, self.fault

    @property
    def changes_containers(self) -> bool:
        """Whether reverting it has to look at a container. What only the load generator does leaves none changed."""
        return self.act in (Act.FAULT, Act.DEPLOY)


@dataclass(frozen=True)
class Calm:
    """A time in which no fault was open."""

    began: float  # Unix time
    ended: float | None  # None: it goes on


@dataclass(frozen=True)
class _Line:
    """A line of the journal about an act."""

    act: OpenAct
    over: bool  # it says that the act is over, and not that it begins


def _change(written: Any) -> TrafficChanges:
    """The change of traffic that a line has. Raises KeyError, TypeError or ValueError."""
    return TrafficChanges(float(written["first"]), float(written["last"]), float(written["over_s"]))


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
        self._append({"act": Act.FAULT, "fault": str(fault)}, lease_s, holder)

    def deploying(
        self, service: Service, release: str, *, lease_s: float = MAX_LEASE_S, holder: str | None = None
    ) -> None:
        """Write that `release` is about to be deployed to `service`. This is not a fault, but it is reverted too."""
        self._append({"act": Act.DEPLOY, "service": service.value, "release": release}, lease_s, holder)

    def bursting(self, service: Service, *, lease_s: float, holder: str | None = None) -> None:
        """Write that a burst of requests is about to come to `service`, to last `lease_s`."""
        self._append({"act": Act.BURST, "service": service.value}, lease_s, holder)

    def changing_traffic(
        self, change: TrafficChanges, *, lease_s: float = MAX_LEASE_S, holder: str | None = None
    ) -> None:
        """Write that users are about to come more or less often. This replaces the change before."""
        self._append({"act": Act.TRAFFIC, "change": asdict(change)}, lease_s, holder)

    def ended(self, fault: Fault) -> None:
        """Write that `fault` is over. What it left behind, such as a redeployed container, is found by looking."""
        self._append({"act": _OVER[Act.FAULT], "fault": str(fault)})

    def undeployed(self, service: Service) -> None:
        """Write that the harmless deploy to `service` is over."""
        self._append({"act": _OVER[Act.DEPLOY], "service": service.value})

    def burst_ended(self, service: Service) -> None:
        """Write that the burst on `service` is over."""
        self._append({"act": _OVER[Act.BURST], "service": service.value})

    def over(self, act: OpenAct) -> None:
        """Write that `act` has been reverted."""
        named: dict[str, Any] = {}
        if act.fault is not None:
            named["fault"] = str(act.fault)
        elif act.service is not None:
            named["service"] = act.service.value
        self._append({"act": _OVER[act.act]} | named)

    def reverted(self) -> None:
        """Write that everything has been reverted. The lines before are not needed any more."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"act": _REVERTED} | self._clocks.stamp()) + "\n")
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
        _, lines = self._since_revert()
        for line in lines:
            if line.over or line.act.act in (Act.TRAFFIC, Act.BURST):  # these two replace the one before
                found = [one for one in found if one.what != line.act.what]
            if not line.over:
                found.append(line.act)
        return found

    def calm(self, besides: Service | None = None) -> list[Calm]:
        """When no fault was open since the last revert, the latest time first. A fault on `besides` that is open now
        does not count: it is about to begin. What was measured at other times shows a fault."""
        began, lines = self._since_revert()
        about_to_begin = None
        for number, line in enumerate(lines):
            if line.act.fault is not None and line.act.service is besides:
                about_to_begin = None if line.over else number
        calm: list[Calm] = []
        broken: set[Fault] = set()
        calm_since: float | None = began
        for number, line in enumerate(lines):
            if number == about_to_begin or not (line.over or line.act.fault) or not line.act.changes_containers:
                continue  # it broke nothing
            if line.act.fault is not None:
                broken = broken - {line.act.fault} if line.over else broken | {line.act.fault}
            if calm_since is not None:
                calm.append(Calm(calm_since, line.act.at))
            calm_since = None if broken else line.act.at
        if calm_since is not None:
            calm.append(Calm(calm_since, None))
        return calm[::-1]

    def traffic(self) -> list[tuple[float, TrafficChanges | None]]:
        """Since which Unix time users have come how often, since the last revert, oldest first. None: as usual."""
        _, lines = self._since_revert()
        return [(line.act.at, line.act.traffic) for line in lines if line.act.act is Act.TRAFFIC]

    def _since_revert(self) -> tuple[float, list[_Line]]:
        """The Unix time of the last revert, 0 if there was none, and the lines after it that can be read."""
        began = 0.0
        lines: list[_Line] = []
        for entry in self._entries():
            if entry.get("act") == _REVERTED:
                began, lines = self._written_at(entry), []
            elif (line := self._parsed(entry)) is not None:
                lines.append(line)
        return began, lines

    def _written_at(self, entry: dict[str, Any]) -> float:
        try:
            return self._clocks.written_at(entry)
        except (KeyError, TypeError, ValueError):
            return 0.0

    def _parsed(self, entry: dict[str, Any]) -> _Line | None:
        """The line as an act. None if another version wrote it and it names something that we cannot revert."""
        try:
            over = entry["act"] in _ACT_OVER
            act = _ACT_OVER[entry["act"]] if over else Act(entry["act"])
            fault = Fault.parse(entry["fault"]) if act is Act.FAULT else None
            service = fault.service if fault is not None else None
            if act in (Act.DEPLOY, Act.BURST):
                service = parse_service(entry["service"])
            traffic = _change(entry["change"]) if act is Act.TRAFFIC and not over else None
            at, until = self._clocks.written_at(entry), self._clocks.ends_at(entry)
        except (KeyError, TypeError, ValueError, AttributeError, UnknownName):
            return None
        holder = entry.get("holder")
        if isinstance(holder, str):
            until = max(until, leased_until(self.folder, holder, self._clocks))
        return _Line(OpenAct(act=act, service=service, fault=fault, traffic=traffic, at=at, until=until), over)

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
        except (OSError, ValueError, RecursionError):
            return None
        return kept if isinstance(kept, dict) else None

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
            except (ValueError, RecursionError):
                continue  # the last line of a run that was killed while it wrote, before it did anything
            if isinstance(entry, dict):
                entries.append(entry)
        return entries
