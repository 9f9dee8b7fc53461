"""A fake world. Tests set what each window shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mirr.env.objectives import FEATURE_COLUMN, SERVICE_ROW
from mirr.env.vocabulary import REMEDY, Action, Breaks, Ends, Event, Fault, Feature, Journey, Reason, Service, Wait
from mirr.env.world import FEATURES_SHAPE, ActionResult, JourneyCount, Snapshot, WorldError

HEALTHY_ROW = (1.0, 10.0, 0.0, 0.02, 0.3, 0.27, 1.0)


def snapshot(*, failed: int = 0, requests: int = 60, degraded: dict[Service, str] | None = None) -> Snapshot:
    """All services are healthy, and `failed` of `requests` user requests failed."""
    features = np.empty(FEATURES_SHAPE)
    features[:] = HEALTHY_ROW
    journeys = {journey: JourneyCount(requests=0, failed=0) for journey in Journey}
    journeys[Journey.BROWSE] = JourneyCount(requests=requests, failed=failed)
    return Snapshot(features=features, journeys=journeys, degraded=degraded or {})


def with_down(shown: Snapshot, service: Service) -> Snapshot:
    """The same snapshot, but one service could not be scraped."""
    shown.features[SERVICE_ROW[service]] = np.nan
    shown.features[SERVICE_ROW[service], FEATURE_COLUMN[Feature.UP]] = 0.0
    return shown


class FakeWorld:
    """Broken until the right fix, then healthy after `recovers_after` windows. Tests can make it refuse or fail."""

    def __init__(self, *, recovers_after: int = 1, failed: int = 30) -> None:
        self.recovers_after = recovers_after
        self.failed = failed  # of 60 user requests in a window, while broken
        self.fails_with: str | None = None
        self.refuses: set[Action] = set()
        self.windows_since_fix: int | None = None
        self.fault: Fault | None = None
        self.applied: list[Action] = []
        self.happened: list[Event] = []
        self.restored_with: int | None = None

    def restore(self, key: int) -> None:
        """Forget everything about the last episode."""
        self.restored_with = key
        self.windows_since_fix = None
        self.applied = []
        self.happened = []

    def inject(self, fault: Fault) -> None:
        """Remember the fault, and so the right fix."""
        self.fault = fault

    def happen(self, event: Event) -> None:
        """Remember the event. A fault that ends by itself counts as fixed."""
        self.happened.append(event)
        if isinstance(event, Breaks):
            self.inject(event.fault)
            self.windows_since_fix = None
        elif isinstance(event, Ends):
            self.windows_since_fix = 0

    def apply(self, action: Action) -> ActionResult:
        """Only the right fix has an effect."""
        self.applied.append(action)
        if action in self.refuses:
            return ActionResult(reason=Reason.NO_EARLIER_RELEASE, text="no earlier release")
        if self.fault is not None and action == REMEDY[self.fault.mode](self.fault.service):
            self.windows_since_fix = 0
        return ActionResult(text="waited" if action == Wait() else "done")

    def advance(self, seconds: float) -> None:
        """A window passes, or the world fails."""
        if self.fails_with is not None:
            raise WorldError(self.fails_with)
        if self.windows_since_fix is not None:
            self.windows_since_fix += 1

    def observe(self) -> Snapshot:
        """Healthy when enough windows have passed since the fix."""
        recovered = self.windows_since_fix is not None and self.windows_since_fix > self.recovers_after
        return snapshot(failed=0 if recovered else self.failed)

    def close(self) -> None:
        """There is nothing to close."""


def write_version_1(path: Path) -> None:
    """Writes a record in version 1 of the schema. It has one step, and a scenario that uses every field."""
    features = [[round(value, 6) for value in HEALTHY_ROW] for _ in Service]
    journeys = {str(journey): {"requests": 20, "failed": 0} for journey in Journey}
    header = {
        "kind": "header",
        "schema": "mirr-rollout",
        "version": 1,
        "world": "docker",
        "policy": "wait",
        "seed": 3,
        "scenario": {
            "name": "a-pack",
            "faults": [{"mode": "crashed", "service": "payments", "heals_at_step": 9}],
            "deploys": [{"service": "auth", "at_step": 4}],
        },
        "config": {"step_s": 2.0, "max_steps": 30, "noise": 0.15},
    }
    steps = [
        {
            "kind": "step",
            "step": step,
            "action": action,
            "reward": 0.0,
            "result": "",
            "observation": features,
            "measured": features,
            "journeys": journeys,
            "overrun_s": 0.0,
            "logs": [],
        }
        for step, action in enumerate([None, "wait"])
    ]
    end = {"kind": "end", "report": {"outcome": "exhausted", "reason": "no recovery within 30 steps"}}
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *steps, end)), encoding="utf-8")
