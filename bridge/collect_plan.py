"""What to play, and in which order. Whoever stops early has the most important plays of every form.

A block has one probe of each form: each form with the same action, on the same role. The first blocks are waiting and
the right fix on the culprit. The culprit changes from block to block, so a part of the plan covers every service.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from mirr.bridge.recording import Play, PlayKind, Role, in_role
from mirr.chaos.lifecycle import KINDS_OF_FIX
from mirr.env.forms import all_forms, parse_form
from mirr.env.quoting import quoted
from mirr.env.vocabulary import REMEDY, Action, Fault, Service, Tier, UnknownName, Wait

DEEDS = 1 + len(KINDS_OF_FIX) * len(Role)  # waiting, and each kind of fix on each role


class Part(StrEnum):
    """A part of the plan that can be chosen."""

    PROBES = "probes"  # and steady state alone
    EPISODES = "episodes"  # under randomised actions, in every tier
    POLICIES = "policies"


DEFAULT_PARTS = (Part.PROBES, Part.EPISODES)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a whole collection consists of."""

    parts: tuple[Part, ...] = DEFAULT_PARTS
    rounds: int = 2  # how often each play is played
    passes: int = len(Service)  # in each pass, every form has another culprit
    policies: tuple[str, ...] = ()
    policy_tier: Tier = tuple(Tier)[-1]
    policy_seeds: range = range(20)


def parse_part(name: str) -> Part:
    """The part of that name, or UnknownName."""
    try:
        return Part(name)
    except ValueError as error:
        raise UnknownName(f"unknown part {quoted(name)}; one of: {', '.join(Part)}") from error


def plan(design: Design) -> list[Play]:
    """Every play of a design, the most important first."""
    plays: list[Play] = []
    for block in range(design.passes * DEEDS):
        for played_round in range(design.rounds):
            if Part.PROBES in design.parts:
                plays.append(_seeded(Play(kind=PlayKind.STEADY, round=played_round, seed=0, number=block)))
                plays += _probes(block, played_round)
            if Part.EPISODES in design.parts:
                plays += [Play(kind=PlayKind.RANDOMISED, round=played_round, seed=block, tier=tier) for tier in Tier]
    if Part.POLICIES in design.parts:
        plays += _policy_plays(design)
    return plays


def _probes(block: int, played_round: int) -> Iterator[Play]:
    """One probe for each form."""
    turn, place = divmod(block, DEEDS)
    forms = [(mode, name, form) for mode, named in all_forms().items() for name, form in named.items()]
    for number, (mode, name, form) in enumerate(forms):
        culprit = form.services[(turn + place + number) % len(form.services)]
        fault = Fault(mode, culprit, parse_form(mode, name))
        action = deeds(fault, turn)[place]
        if action is not None:
            yield _seeded(Play(kind=PlayKind.PROBE, round=played_round, seed=0, fault=fault, action=action))


def deeds(fault: Fault, turn: int) -> list[Action | None]:
    """Waiting, then each kind of fix on each role, the most important first. `turn` chooses among the services of a
    role. None stands for a role that no service has."""
    remedy = REMEDY[fault.mode]
    others = [kind for kind in KINDS_OF_FIX if kind is not remedy]
    ordered = [
        (remedy, Role.CULPRIT),
        (remedy, Role.NEIGHBOUR),
        *[(kind, Role.CULPRIT) for kind in others],
        (remedy, Role.UNRELATED),
        *[(kind, role) for role in (Role.NEIGHBOUR, Role.UNRELATED) for kind in others],
    ]
    found: list[Action | None] = [Wait()]
    for kind, role in ordered:
        services = in_role(role, fault.service)
        found.append(kind(services[turn % len(services)]) if services else None)
    return found


def _policy_plays(design: Design) -> Iterator[Play]:
    """Seed by seed, so that whoever stops early has every policy on the same seeds."""
    for seed in design.policy_seeds:
        for played_round in range(design.rounds):
            for policy in design.policies:
                yield Play(kind=PlayKind.POLICY, round=played_round, seed=seed, tier=design.policy_tier, policy=policy)


def _seeded(play: Play) -> Play:
    """The play with a seed of its own, made from its key. So a play has the same seed in every plan."""
    return replace(play, seed=zlib.crc32(play.key.encode()))
