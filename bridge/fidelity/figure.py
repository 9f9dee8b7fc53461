"""A figure with its interval, and beside it what the lab gives against itself."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a comparison."""

    value: float | None  # None: there are too few recordings, or it is not defined for them
    low: float | None = None  # of the 95% interval
    high: float | None = None
    itself: float | None = None  # the lab against itself: no simulator can be expected to agree better
    of: int = 0  # how many pairs of plays, or of policies, it is made from

    def beside(self, itself: Figure) -> Figure:
        """This figure with that of the lab against itself."""
        return replace(self, itself=itself.value)

    def to_json(self) -> dict[str, float | int | None]:
        """As `mirr fidelity --json` prints it."""
        return {
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "lab_itself": _rounded(self.itself),
            "of": self.of,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
