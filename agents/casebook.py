"""What each form of a fault looks like to an engineer on call, as a table, and which cases are still open.

A case is struck out as soon as one of its signs is known to be otherwise. What is left over are the hypotheses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mirr.env.vocabulary import FaultMode


class Sign(StrEnum):
    """Something about one service that is true or not. The first six are seen in metrics, the others in its log."""

    DOWN = "down"  # it cannot be scraped
    SWOLLEN = "swollen"  # it has needed far more memory than the other services
    SWAMPED = "swamped"  # it uses all its CPU, and still answers late
    CROWDED = "crowded"  # far more requests come than usual
    REFUSING = "refusing"  # it turns most requests away
    FAILING = "failing"  # it has errors that no service below explains
    EXITED = "exited"  # its process ended itself with an error
    RAISING = "raising"  # its own code raised errors
    DEPLOYED = "deployed"  # a release went out when the trouble began, and not long before


IN_THE_LOG = frozenset({Sign.EXITED, Sign.RAISING, Sign.DEPLOYED})


@dataclass(frozen=True, kw_only=True)
class Case:
    """A form of a fault, and what has to be known before it counts as proved."""

    form: str
    mode: FaultMode
    signs: Mapping[Sign, bool]

    def struck_out_by(self, known: Mapping[Sign, bool]) -> list[Sign]:
        """The signs that are known, and speak against it."""
        return [sign for sign, expected in self.signs.items() if known.get(sign, expected) is not expected]

    def proved_by(self, known: Mapping[Sign, bool]) -> bool:
        """Whether every sign is known, and as it has to be."""
        return all(known.get(sign) is expected for sign, expected in self.signs.items())

    def asks_the_log(self, known: Mapping[Sign, bool]) -> bool:
        """Whether a sign is missing that the log would tell."""
        return any(sign in IN_THE_LOG and sign not in known for sign in self.signs)


def _case(form: str, mode: FaultMode, *, seen: Iterable[Sign], absent: Iterable[Sign] = ()) -> Case:
    return Case(form=form, mode=mode, signs=dict.fromkeys(seen, True) | dict.fromkeys(absent, False))


CASES: tuple[Case, ...] = (
    # It is down. Who ended the process: somebody else, or a release itself?
    _case("killed", FaultMode.CRASHED, seen=[Sign.DOWN], absent=[Sign.EXITED, Sign.DEPLOYED, Sign.SWOLLEN]),
    _case("hung", FaultMode.CRASHED, seen=[Sign.DOWN], absent=[Sign.EXITED, Sign.DEPLOYED, Sign.SWOLLEN]),
    _case("crashing", FaultMode.BAD_DEPLOY, seen=[Sign.DOWN, Sign.EXITED]),
    _case("leaky", FaultMode.BAD_DEPLOY, seen=[Sign.DOWN, Sign.DEPLOYED], absent=[Sign.EXITED]),
    # Memory climbs, or has climbed until the kernel ended the process. Is it what clients send, or the release?
    _case("leak", FaultMode.MEMORY_LEAK, seen=[Sign.SWOLLEN], absent=[Sign.DEPLOYED, Sign.EXITED]),
    _case("leaky", FaultMode.BAD_DEPLOY, seen=[Sign.SWOLLEN, Sign.DEPLOYED]),
    # The CPU is full. Do many requests come, or do requests cost more than they did? If so: some of them, or all?
    _case("crowd", FaultMode.OVERLOADED, seen=[Sign.SWAMPED, Sign.CROWDED], absent=[Sign.SWOLLEN]),
    _case(
        "costly",
        FaultMode.OVERLOADED,
        seen=[Sign.SWAMPED],
        absent=[Sign.CROWDED, Sign.REFUSING, Sign.DEPLOYED, Sign.SWOLLEN],
    ),
    _case("slow", FaultMode.BAD_DEPLOY, seen=[Sign.SWAMPED, Sign.DEPLOYED], absent=[Sign.CROWDED, Sign.SWOLLEN]),
    # No crowd that twice the quota can serve is turned away to so large a part. The log need not be read.
    _case("slow", FaultMode.BAD_DEPLOY, seen=[Sign.SWAMPED, Sign.REFUSING], absent=[Sign.CROWDED, Sign.SWOLLEN]),
    # It has CPU to spare, and still fails.
    _case("errors", FaultMode.BAD_DEPLOY, seen=[Sign.FAILING, Sign.RAISING], absent=[Sign.SWAMPED, Sign.SWOLLEN]),
)
"""Every form, some in two rows. `docs/environment.md` says the same for people ("Forms that look alike")."""


def open_cases(known: Mapping[Sign, bool], excluded: Collection[FaultMode] = ()) -> list[Case]:
    """The cases that nothing speaks against. `excluded` are modes whose fix did not help."""
    return [case for case in CASES if case.mode not in excluded and not case.struck_out_by(known)]


def verdict(cases: Iterable[Case], known: Mapping[Sign, bool]) -> FaultMode | None:
    """The mode, if one case is proved and no open case has another mode."""
    left = list(cases)
    modes = {case.mode for case in left}
    return modes.pop() if len(modes) == 1 and any(case.proved_by(known) for case in left) else None
