"""The rhythm of a world that real time passes in: the opening of an episode, and a deadline for each step."""

from __future__ import annotations

from collections.abc import Callable


class StepClock:
    """Gives each step its absolute deadline, so that no step adds its own delay to the next one.

    A quick caller keeps the rhythm. A slow one (a person, a language model) gets a whole step for its action all the
    same, and the time that it took shows as overrun."""

    def __init__(self, *, now: Callable[[], float], late_s: float) -> None:
        self._now = now
        self._late_s = late_s  # a caller that took longer than this between two steps is a slow one
        self._step_began: float | None = None  # when the step under way began: None before its action
        self._opens_at: float | None = None  # when the first window begins: None once it has begun
        self.deadline = now()  # when the last step was to end
        self.overrun_s = 0.0  # by how much the last step ended late

    def open_in(self, seconds: float) -> None:
        """Let the first window of an episode begin that many seconds from now."""
        self._opens_at = self._now() + seconds

    def begin_window(self) -> None:
        """The next step begins now."""
        self._step_began = None
        self.deadline = self._now()

    def begin_step(self) -> None:
        """An action is about to be applied: its step begins at the end of the last one, or now for a slow caller."""
        now = self._now()
        self._step_began = self.deadline if now - self.deadline < self._late_s else now

    def opening(self) -> float | None:
        """Until when the opening lasts, where it is not over yet. It is asked for once: the next answer is None."""
        opens_at, self._opens_at = self._opens_at, None
        return opens_at if self._step_began is None else None

    def end_step(self, seconds: float, pass_time: Callable[[float], None]) -> None:
        """Pass the time until the step is `seconds` long, by `pass_time(until)`."""
        began = self.deadline if self._step_began is None else self._step_began
        self._step_began = None
        previous = self.deadline
        self.deadline = began + seconds
        pass_time(self.deadline)
        self.overrun_s = max(0.0, self._now() - previous - seconds)
