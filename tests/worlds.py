"""Worlds with one wrong method, for tests of the code that checks a world."""

from __future__ import annotations

from collections.abc import Callable

from mirr.env.vocabulary import Action, Event, Fault
from mirr.env.world import ActionResult, Snapshot, World


class Altered:
    """A World that works like another World. A test can replace some of its methods."""

    def __init__(
        self,
        inner: World,
        *,
        injects: Callable[[Fault], None] | None = None,
        applies: Callable[[Action], ActionResult] | None = None,
        after_restore: Callable[[], None] = lambda: None,
    ) -> None:
        self._inner = inner
        self._injects = injects or inner.inject
        self._applies = applies or inner.apply
        self._after_restore = after_restore

    def restore(self, key: int) -> None:
        self._inner.restore(key)
        self._after_restore()

    def inject(self, fault: Fault) -> None:
        self._injects(fault)

    def happen(self, event: Event) -> None:
        self._inner.happen(event)

    def apply(self, action: Action) -> ActionResult:
        return self._applies(action)

    def advance(self, seconds: float) -> None:
        self._inner.advance(seconds)

    def observe(self) -> Snapshot:
        return self._inner.observe()

    def close(self) -> None:
        self._inner.close()
