"""The lock of a lab in its engine: a container that is never started.

Whoever can touch the lab reaches this lock: from another home, from a container with a network of its own, over TCP, or
from a machine that has its engine in a virtual one. Files and sockets do not keep all of these out. The engine gives a
name to one container only, so whoever creates the container holds the lab.

A process that is killed cannot remove its lock. So the lock is a lease, and no clock is asked about it: its holder
counts it up, and whoever wants the lab watches for a while whether the count goes on. If the holder is a process of the
same machine, the kernel says at once that it has ended. Labels cannot be changed, but two numbers can that mean nothing
for a container that does not run: how often it would be started again, which is the count, and its CPU shares, by which
others tell the holder that the lab was reverted.

A container whose process ends with its holder's connection would need no lease. But it takes longer to start than a
reset may, and it would run beside the lab while that is measured. `docker system prune` removes the lock. Its holder
makes it anew within seconds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from mirr.lab.errors import EngineError, LabInUse
from mirr.lab.names import LABEL_SOURCE, TRAFFIC_IMAGE, parse_lab
from mirr.lab.processes import Process
from mirr.lab.refusals import in_words

LABEL_LOCK = "mirr.lock"
LABEL_HOLDER = "mirr.lock.holder"
RENEW_S = 4.0
LEASE_S = 12.0
"""How long a lock may stand still before somebody else takes the lab: three times as long as between two renewals."""

_POLL_S = 0.25
_TRIES = 5
_CONFLICT = 409
_LEAST_SHARES = 2  # the least that an engine takes


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds a lab."""

    what: str  # the command, as in `mirr episode`
    process: Process
    state: str  # the state folder, so that a reaper knows its own lab

    def shares(self, state: str) -> bool:
        """Whether it is a process of this machine, with that state folder."""
        return self.state == state and self.process.is_of_this_machine()

    def to_label(self) -> str:
        """As the lock has it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_label(cls, text: str) -> Holder | None:
        """The holder that a label names. None if another version wrote it."""
        try:
            written = json.loads(text)
            process = {name: written["process"][name] for name in ("user", "host", "pids", "began")}
            number = int(written["process"]["number"])
            return cls(
                what=str(written["what"]),
                process=Process(number=number, **{name: str(value) for name, value in process.items()}),
                state=str(written["state"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def __str__(self) -> str:
        return f"`{self.what}` ({self.process})"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A lock, as the engine shows it."""

    id: str
    holder: Holder | None
    count: int
    told: int  # what changes when somebody tells the holder that the lab was reverted

    @property
    def by(self) -> str:
        """Who holds it, in words."""
        return str(self.holder or "another version of mirr")

    @property
    def is_dead(self) -> bool:
        """Whether its holder has ended for certain."""
        return self.holder is not None and self.holder.process.has_ended()


def lock_name(lab: str) -> str:
    """The name of the lab's lock. Compose gives no container a name with a dot."""
    return f"mirr.lock.{parse_lab(lab)}"


def look(api: Any, lab: str) -> Found | None:  # api: docker.APIClient, whose stubs leave most methods untyped
    """The lab's lock. None if nobody holds the lab. Raises EngineError, and what docker-py raises."""
    try:
        inspected = api.inspect_container(lock_name(lab))
    except NotFound:
        return None
    labels = inspected["Config"].get("Labels") or {}
    if labels.get(LABEL_LOCK) != lab:
        raise EngineError(
            f"container {lock_name(lab)} is not a lock of mirr, and has its name: not touched; "
            "next: rename it, or remove it yourself if it is yours"
        )
    host = inspected["HostConfig"]
    return Found(
        id=str(inspected["Id"]),
        holder=Holder.from_label(labels.get(LABEL_HOLDER, "")),
        count=int((host.get("RestartPolicy") or {}).get("MaximumRetryCount") or 0),
        told=int(host.get("CpuShares") or 0),
    )


def living(api: Any, lab: str, found: Found, *, sleep: Callable[[float], None] = time.sleep) -> Found | None:
    """The lock, if its holder lives. None if the lock was left behind, or is gone. Takes up to LEASE_S.

    Raises what `look` raises."""
    if found.is_dead:
        return None
    for _ in range(round(LEASE_S / _POLL_S)):
        sleep(_POLL_S)
        now = look(api, lab)
        if now is None or (now.id, now.count) != (found.id, found.count):
            return now
    return None


def tell(api: Any, lab: str, *, reverted: bool) -> None:
    """Tell whoever holds the lab that it was reverted, if it was. Remove a lock whose holder has ended.

    Raises what `look` raises."""
    found = look(api, lab)
    if found is None:
        return
    if found.is_dead:
        _remove(api, found.id)
    elif reverted:
        api.update_container(found.id, cpu_shares=max(found.told, _LEAST_SHARES) + 1)


class EngineLock:
    """The lock of one lab, for one holder. `sleep` is used while somebody else's lock is watched."""

    def __init__(
        self, api: Any, lab: str, holder: Holder, *, sleep: Callable[[float], None] = time.sleep, beats: bool = True
    ) -> None:
        self._api = api
        self._lab = lab
        self._holder = holder
        self._sleep = sleep
        self._beats = beats  # whether a thread renews it
        self._image = ""
        self._id = ""
        self._count = 1
        self._told = 0
        self._heard: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Hold the lab, unless this lock does so already. Raises LabInUse or EngineError.

        Nothing happens if the engine has no image of a lab yet: then it has no lab either. Call it again when it has.
        """
        if self._id:
            return
        try:
            self._image = self._image or _some_image(self._api)
            if self._image:
                self._take()
        except (DockerException, RequestException) as error:
            raise EngineError(
                f"the engine does not keep a lock for lab {self._lab} ({in_words(error)}); next: mirr doctor"
            ) from error
        if self._id and self._beats:
            self._thread = threading.Thread(target=self._run, name="lock", daemon=True)
            self._thread.start()

    def renew(self) -> None:
        """Count the lock up, and hear what others tell. If it was removed, make it anew."""
        try:
            self._count += 1
            self._api.update_container(self._id, restart_policy=_policy(self._count))
            told = int(self._api.inspect_container(self._id)["HostConfig"].get("CpuShares") or 0)
        except NotFound:
            self._make_anew()
            return
        except (DockerException, RequestException):
            return  # the next renewal tries again
        if told != self._told:
            self._told = told
            self._heard.append("somebody else has reverted the lab")

    def reverted(self) -> str | None:
        """What others did to the lab since this was asked last, in words. None if nothing is known."""
        heard, self._heard = self._heard, []
        return heard[-1] if heard else None

    def release(self) -> None:
        """Let the lab go. It never raises: a lock that stays is taken over when its process has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=LEASE_S)
        held, self._id = self._id, ""
        if held:
            try:
                _remove(self._api, held)
            except (DockerException, RequestException):
                return

    def _run(self) -> None:
        while not self._stop.wait(RENEW_S):
            if self._id:
                self.renew()

    def _take(self) -> None:
        for _ in range(_TRIES):
            if self._create():
                return
            found = look(self._api, self._lab)
            if found is None:
                continue  # it was let go just now
            if found.holder == self._holder:
                self._id, self._count, self._told = found.id, found.count, found.told
                return
            alive = living(self._api, self._lab, found, sleep=self._sleep)
            if alive is not None:
                raise LabInUse(f"lab {self._lab} is in use by {alive.by}; wait for it or end it")
            # By its id: somebody else may have taken the name meanwhile.
            _remove(self._api, found.id)
        raise LabInUse(f"lab {self._lab} is wanted by several commands at once; next: try again")

    def _create(self) -> bool:
        """Whether this lock got the name."""
        config = {
            "Image": self._image,
            "Entrypoint": ["never started"],
            "Labels": {LABEL_LOCK: self._lab, LABEL_HOLDER: self._holder.to_label()},
            "HostConfig": {"NetworkMode": "none", "RestartPolicy": _policy(self._count)},
        }
        try:
            self._id = str(self._api.create_container_from_config(config, name=lock_name(self._lab))["Id"])
        except APIError as error:
            if error.status_code != _CONFLICT:
                raise
            return False
        self._told = 0
        return True

    def _make_anew(self) -> None:
        try:
            self._image = _some_image(self._api)
            if self._create():
                return
            found = look(self._api, self._lab)
        except (DockerException, RequestException, EngineError):
            return  # the next renewal tries again
        if found is not None and found.holder != self._holder:
            self._id = ""
            self._heard.append(f"{found.by} has taken the lab, whose lock stood still for {LEASE_S:g} s")


def _policy(count: int) -> dict[str, object]:
    return {"Name": "on-failure", "MaximumRetryCount": count}


def _some_image(api: Any) -> str:
    """The id of an image that a container can be made from. Empty if there is none yet."""
    try:
        return str(api.inspect_image(TRAFFIC_IMAGE)["Id"])  # it is small, without volumes, and found at once
    except NotFound:
        listed = api.images(filters={"label": LABEL_SOURCE})
        return str(listed[0]["Id"]) if listed else ""


def _remove(api: Any, container: str) -> None:
    try:
        api.remove_container(container, v=True, force=True)
    except NotFound:
        return  # somebody else removed it already
    except APIError as error:
        if error.status_code != _CONFLICT:  # it is being removed
            raise
