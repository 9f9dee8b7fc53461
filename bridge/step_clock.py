"""The steps of a world that runs in real time: the opening of an episode, and a deadline for each step."""

from __future__ import annotations

from collections.abc import Callable


class StepClock:
    """Gives each step its absolute deadline, so that no step adds its own delay to the next one.

    The steps of a quick caller follow each other without a gap. A slow caller (a person, a language model) still gets a
    whole step for its action, and its delay counts as overrun."""

    def __init__(self, *, now: Callable[[], float], late_s: float) -> None:
        self._now = now
        self._late_s = late_s  # a caller that took longer than this between two steps is slow
        self._step_began: float | None = None  # when the current step began; None before its action
        self._opened_at = now()  # when the opening began
        self._opens_at: float | None = None  # when the first window begins; None after it has begun
        self._again_s: float | None = None  # how long the second part lasts; None if no such part is to come
        self.deadline = now()  # when the last step had to end
        self.overrun_s = 0.0  # by how much the last step ended late

    def open_in(self, seconds: float) -> None:
        """Let the first window of an episode begin after that many seconds."""
        self._opened_at = self._now()
        self._opens_at, self._again_s = self._opened_at + seconds, None

    def open_in_two_parts(self, first_s: float, second_s: float) -> None:
        """Let the opening have another advance between two parts. The first part lasts `first_s` from where the opening
        began, and the second one lasts `second_s`. Nothing changes if no opening is going on."""
        if self._opens_at is not None:
            self._opens_at, self._again_s = self._opened_at + first_s, second_s

    def begin_window(self, at: float | None = None) -> None:
        """The next step begins at that time; None: now."""
        self._step_began = None
        self.deadline = self._now() if at is None else at

    def begin_step(self) -> None:
        """An action is about to be applied: its step begins at the end of the last one, or now for a slow caller."""
        now = self._now()
        self._opens_at = self._again_s = None
        self._step_began = self.deadline if now - self.deadline < self._late_s else now

    def opening(self) -> float | None:
        """When the opening or its first part ends, if it is not over yet. Only the first call gets it: the next call
        gets None."""
        opens_at, self._opens_at = self._opens_at, None
        return opens_at

    @property
    def has_second_part(self) -> bool:
        """Whether the opening goes on after the next step."""
        return self._again_s is not None

    def end_step(self, seconds: float, pass_time: Callable[[float], None]) -> None:
        """Pass the time until the step is `seconds` long, by `pass_time(until)`."""
        began = self.deadline if self._step_began is None else self._step_began
        self._step_began = None
        previous = self.deadline
        self.deadline = began + seconds
        pass_time(self.deadline)
        self.overrun_s = max(0.0, self._now() - previous - seconds)
        if self._again_s is not None:
            self._opens_at, self._again_s = self.deadline + self._again_s, None
