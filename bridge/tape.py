"""Collects the windows of one play while it is played."""

from __future__ import annotations

import numpy as np

from mirr.bridge.recording import Ending, Phase, Play, Recording
from mirr.env.vocabulary import Action, Fault, Journey, Reason, Service, action_text
from mirr.env.world import Snapshot


class Tape:
    """The windows so far."""

    def __init__(self) -> None:
        self._phases: list[Phase] = []
        self._actions: list[str] = []
        self._reasons: list[Reason | None] = []
        self._snapshots: list[Snapshot] = []

    def note(self, phase: Phase, action: Action | None, reason: Reason | None, snapshot: Snapshot) -> None:
        """Add a window: the action that began with it, the world's answer, and what was measured."""
        self._phases.append(phase)
        self._actions.append("" if action is None else action_text(action))
        self._reasons.append(reason)
        self._snapshots.append(snapshot)

    def recording(
        self,
        play: Play,
        culprit: Fault | None,
        *,
        session: int,
        began: str,
        seconds: float,
        ending: Ending | None = None,
    ) -> Recording:
        """Everything that was noted."""
        windows = self._snapshots
        return Recording(
            play=play,
            culprit=culprit,
            phases=tuple(self._phases),
            actions=tuple(self._actions),
            reasons=tuple(self._reasons),
            features=np.array([window.features for window in windows], dtype=np.float64),
            journeys=np.array(
                [[window.journeys[journey] for journey in Journey] for window in windows], dtype=np.int64
            ),
            degraded=np.array([[service in window.degraded for service in Service] for window in windows]),
            overrun_s=np.array([window.overrun_s for window in windows], dtype=np.float64),
            session=session,
            began=began,
            seconds=seconds,
            ending=ending,
        )
