"""What the load generator is asked for, each on a lease: campaigns, and how often users come."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import requests

from mirr.chaos.errors import CampaignError, GeneratorAway
from mirr.chaos.leases import LEASE_S, LeaseFile
from mirr.env.vocabulary import Service, TrafficChanges

_NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True)
class CampaignRequest:
    """What chaos asks the load generator for: extra traffic on one service."""

    kind: str  # as the load generator knows it; each form of a fault says what it sends
    service: Service
    rate_per_s: float

    @property
    def id(self) -> str:
        """The name by which the load generator knows it."""
        return campaign_id(self.kind, self.service)


def campaign_id(kind: str, service: Service) -> str:
    """The id of a campaign. A service has one campaign of each kind at most."""
    return f"{kind}-{service}".replace("_", "-")


class Campaigns(Protocol):
    """The load generator's control interface."""

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        """Start the campaign, or change its rate if it runs; it ends `lease_s` from now unless renewed."""

    def renew(self, campaign: CampaignRequest, lease_s: float) -> bool:
        """Renew the lease. False if the campaign is gone."""

    def running(self) -> list[str]:
        """The ids of the campaigns that run."""

    def stop(self, campaign_id: str) -> None:
        """End the campaign of that id, if it runs."""

    def stop_all(self) -> list[str]:
        """End every campaign; returns the ids of those that ran."""

    def change_traffic(self, change: TrafficChanges, lease_s: float) -> None:
        """Let users come more or less often, in place of the change before; it ends `lease_s` from now unless
        renewed."""

    def renew_traffic(self, lease_s: float) -> bool:
        """Renew the lease of the change. False if users come as usual already."""

    def reset_traffic(self) -> bool:
        """Let users come as usual. Returns whether they did not."""


class HttpCampaigns:
    """Campaigns by the load generator's HTTP interface at `url`."""

    def __init__(self, url: str, session: requests.Session, *, timeout_s: float = 3.0) -> None:
        self._url = url
        self._session = session
        self._timeout_s = timeout_s

    def start(self, campaign: CampaignRequest, lease_s: float) -> None:
        body = {
            "kind": campaign.kind,
            "service": campaign.service.value,
            "rate_per_s": campaign.rate_per_s,
            "lease_s": lease_s,
        }
        self._ask("PUT", f"/campaigns/{campaign.id}", body)

    def renew(self, campaign: CampaignRequest, lease_s: float) -> bool:
        answer = self._ask("POST", f"/campaigns/{campaign.id}/renew", {"lease_s": lease_s}, missing_ok=True)
        return answer.status_code != _NOT_FOUND

    def stop(self, campaign_id: str) -> None:
        self._ask("DELETE", f"/campaigns/{campaign_id}", missing_ok=True)

    def stop_all(self) -> list[str]:
        running = self.running()
        for campaign in running:
            self.stop(campaign)
        return running

    def change_traffic(self, change: TrafficChanges, lease_s: float) -> None:
        self._ask("PUT", "/traffic", asdict(change) | {"lease_s": lease_s})

    def renew_traffic(self, lease_s: float) -> bool:
        answer = self._ask("POST", "/traffic/renew", {"lease_s": lease_s}, missing_ok=True)
        return answer.status_code != _NOT_FOUND

    def reset_traffic(self) -> bool:
        # A load generator of an older version does not know this path. Its users always come as usual.
        return self._ask("DELETE", "/traffic", missing_ok=True).status_code != _NOT_FOUND

    def running(self) -> list[str]:
        answer = self._ask("GET", "/campaigns")
        try:
            return [str(one["id"]) for one in answer.json()["campaigns"]]
        except (ValueError, KeyError, TypeError) as error:
            raise self._somebody_else(answer) from error

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, missing_ok: bool = False
    ) -> requests.Response:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=self._timeout_s)
        except requests.RequestException as error:
            # The kernel accepts connections for a process that hangs, so only a timeout shows that it hangs.
            kind = CampaignError if isinstance(error, requests.Timeout) else GeneratorAway
            raise kind(
                f"the load generator at {self._url} does not answer ({type(error).__name__}); next: mirr up"
            ) from error
        if missing_ok and answer.status_code == _NOT_FOUND:
            # Any web server says 404. Only the load generator's own answer shows that nothing is there any more.
            if not _says_it_is_gone(answer):
                raise self._somebody_else(answer)
            return answer
        if not answer.ok:
            raise CampaignError(f"the load generator refused {method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def _somebody_else(self, answer: requests.Response) -> CampaignError:
        return CampaignError(
            f"what answers at {self._url} is not the load generator: {answer.status_code} {answer.text[:80]!r}; "
            "next: mirr doctor"
        )


_GONE = ("no campaign ", "users come at their usual rate", "DELETE /traffic: ")
"""How the load generator begins to say that nothing is there any more. The last is one of an older version."""


def _says_it_is_gone(answer: requests.Response) -> bool:
    try:
        return str(answer.json()["error"]).startswith(_GONE)
    except (ValueError, KeyError, TypeError):
        return False


class Heartbeat:
    """Renews the leases of what this process injected, from two threads of its own.

    The lease on disk is for every act; the load generator has one for each campaign and one for the users' traffic.
    Each of the two has its thread: a disk that is busy for seconds must not end what the load generator does.
    When the process dies, even by SIGKILL, or drops its heartbeat without closing it, nobody renews them. The campaigns
    then end by themselves, users come as usual again, and the reaper reverts the rest.
    """

    def __init__(self, campaigns: Campaigns, *, lease_s: float = LEASE_S, lease: LeaseFile | None = None) -> None:
        self._campaigns = campaigns
        self._lease = lease
        self.lease_s = lease_s
        self._watching = False
        self._held: dict[str, CampaignRequest] = {}
        self._holds_traffic = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lost: dict[str, str] = {}

    @property
    def holder(self) -> str | None:
        """The name under which the journal has this lease. None if leases are not on disk."""
        return self._lease.holder if self._lease is not None else None

    @property
    def lost(self) -> str | None:
        """Why a lease could not be renewed, for the next verb to report. None if all were renewed."""
        with self._lock:
            return next(iter(self._lost.values()), None)

    def watch(self) -> None:
        """Renew the lease on disk from now on. Raises OSError if it cannot be written."""
        if self._lease is not None:
            self._lease.renew(self.lease_s)
        self._watching = True
        self._start()

    def hold(self, campaign: CampaignRequest) -> None:
        """Renew the lease of `campaign` from now on."""
        with self._lock:
            self._held[campaign.id] = campaign
            self._lost.pop(campaign.id, None)
        self._start()

    def hold_traffic(self) -> None:
        """Renew the lease of the users' traffic from now on."""
        with self._lock:
            self._holds_traffic = True
            self._lost.pop(_TRAFFIC, None)
        self._start()

    def let_go(self, campaign_id: str) -> None:
        """Stop renewing that campaign."""
        with self._lock:
            self._held.pop(campaign_id, None)
            self._lost.pop(campaign_id, None)

    def release(self) -> None:
        """Stop renewing everything."""
        self._watching = False
        with self._lock:
            self._holds_traffic = False
            self._held.clear()
            self._lost.clear()
        if self._lease is not None:
            self._lease.drop()

    def close(self) -> None:
        """End the threads."""
        self.release()
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5.0)

    def _start(self) -> None:
        if not self._threads:
            for renew in (Heartbeat._renew_at_generator, Heartbeat._renew_on_disk):
                own = (self._stop, self.lease_s / 3, weakref.ref(self), renew)
                self._threads.append(threading.Thread(target=_keep_renewing, args=own, name="leases", daemon=True))
                self._threads[-1].start()

    def beat(self) -> None:
        """Renew everything once, as the threads do three times a lease."""
        self._renew_at_generator()
        self._renew_on_disk()

    def _renew_at_generator(self) -> None:
        with self._lock:
            held, holds_traffic = list(self._held.values()), self._holds_traffic
        for campaign in held:
            self._renew(campaign)
        if holds_traffic:
            self._renew_traffic()

    def _renew_on_disk(self) -> None:
        if self._lease is None or not self._watching:
            return
        try:
            self._lease.renew(self.lease_s)
            why = None
        except OSError as error:
            why = f"the lease could not be written: {error.strerror}"
        if not self._watching:
            self._lease.drop()  # another thread released it in between
        self._note(_ON_DISK, why)

    def _renew(self, campaign: CampaignRequest) -> None:
        try:
            alive = self._campaigns.renew(campaign, self.lease_s)
            why = None if alive else f"campaign {campaign.id} is gone: its lease ran out or somebody ended it"
        except CampaignError as error:
            why = str(error)
        with self._lock:
            held = campaign.id in self._held
        if held:
            self._note(campaign.id, why)

    def _renew_traffic(self) -> None:
        try:
            alive = self._campaigns.renew_traffic(self.lease_s)
            why = None if alive else "users come as usual again: the lease ran out or somebody ended it"
        except CampaignError as error:
            why = str(error)
        with self._lock:
            held = self._holds_traffic
        if held:
            self._note(_TRAFFIC, why)

    def _note(self, key: str, why: str | None) -> None:
        with self._lock:
            if why is None:
                self._lost.pop(key, None)
            else:
                self._lost[key] = why


def _keep_renewing(
    stop: threading.Event, every_s: float, heartbeat: weakref.ref[Heartbeat], renew: Callable[[Heartbeat], None]
) -> None:
    """Renew until `stop` is set. It also ends when nobody has the heartbeat any more: nobody could end what it renews,
    so its leases run out."""
    while not stop.wait(every_s):
        held = heartbeat()
        if held is None:
            return
        renew(held)
        del held  # while the thread waits, it does not keep the heartbeat


_ON_DISK = "on disk"
_TRAFFIC = "traffic"
