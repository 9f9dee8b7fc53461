"""What a room plays: a scenario pack, or what a seed draws in a tier. Each with the hints that a team can buy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mirr.env.quoting import quoted
from mirr.env.scenario import BadScenario, EpisodeConfig, Scenario, checked_seed, draw
from mirr.env.tiers import TIERS
from mirr.env.vocabulary import (
    CALLS,
    PACK_ACTIONS,
    DiagnoseNone,
    FaultMode,
    Service,
    Tier,
    action_text,
    parse_tier,
)
from mirr.scenarios.packs import PACK_CONFIG, Pack, all_packs, workshop_packs

LARGEST_SEED = 2**53 - 1
"""The largest seed that a browser can send as a number."""

ONE_BROKEN = "Users are affected. One of the five services is broken; find out which one and how."
ALARM = "There was an alarm, and it may be false. Find out which of the five services are broken, if any, and how."

_WHERE_COST, _WHICH_COST, _HOW_COST = 2.0, 4.0, 6.0

_HOW: dict[FaultMode, str] = {
    FaultMode.CRASHED: "A process that does not run, or does not answer, shows no release of its own making.",
    FaultMode.MEMORY_LEAK: "Look at its memory over several steps, and at which release it says that it runs.",
    FaultMode.OVERLOADED: "Compare the work that it is offered with the CPU that it has, and look at its release.",
    FaultMode.BAD_DEPLOY: "Its log says which release it started with last.",
}


@dataclass(frozen=True, kw_only=True)
class Hint:
    """Something that a team can buy."""

    text: str
    cost: float  # points


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the trainer chose: a pack, or a tier. The seed is that of the users and the noise, and in a tier also of
    the incident."""

    pack: str = ""
    tier: Tier | None = None
    seed: int = 0

    def to_json(self) -> dict[str, object]:
        """As it is stored and sent."""
        return {"pack": self.pack} | ({} if self.tier is None else {"tier": str(self.tier)}) | {"seed": self.seed}


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One incident that can be played."""

    choice: Choice
    scenario: Scenario
    config: EpisodeConfig
    title: str  # what players may read; it does not reveal the answer
    symptom: str  # the same
    difficulty: str
    hints: tuple[Hint, ...]
    debrief: str  # for the trainer, and for everybody once it is over


def parse_choice(content: object) -> Choice:
    """The choice that a client sent. Raises BadScenario or UnknownName."""
    if not isinstance(content, Mapping):
        raise BadScenario(f"an incident is an object with pack or tier, and seed; got {quoted(content)}")
    pack, tier, seed = content.get("pack") or "", content.get("tier"), content.get("seed")
    if not isinstance(pack, str) or bool(pack) == (tier is not None):
        raise BadScenario("an incident has either a pack or a tier")
    if seed is None and pack:
        seed = _pack(pack).seed
    number = checked_seed(seed)
    if number > LARGEST_SEED:
        raise BadScenario(f"a seed of a room is at most {LARGEST_SEED}; got {quoted(number)}")
    return Choice(pack=pack, tier=None if tier is None else parse_tier(tier), seed=number)


def incident_of(choice: Choice) -> Incident:
    """The incident of a choice. Raises BadScenario."""
    if choice.pack:
        return _incident_of_pack(_pack(choice.pack), choice)
    tier = Tier.EASY if choice.tier is None else choice.tier
    scenario, config = draw(choice.seed, tier=tier), TIERS[tier].config
    return Incident(
        choice=choice,
        scenario=scenario,
        config=config,
        title="The pager rings",  # the same for all: a seed would reveal the incident
        symptom=ALARM if config.none_diagnosis else ONE_BROKEN,
        difficulty=str(tier),
        hints=hints_about(scenario),
        debrief=_truth(scenario),
    )


def packs() -> dict[str, Pack]:
    """The packs that come with the project, by id, those of the workshop first. They are read once."""
    return dict(_read_packs())


@cache
def _read_packs() -> dict[str, Pack]:
    return {pack.id: pack for pack in (*workshop_packs(), *all_packs())}


def _pack(name: str) -> Pack:
    known = _read_packs()
    if name not in known:
        raise BadScenario(f"unknown pack {quoted(name)}; one of: {', '.join(known)}")
    return known[name]


def _incident_of_pack(pack: Pack, choice: Choice) -> Incident:
    scenario = pack.scenario(choice.seed)
    own = tuple(Hint(text=hint.text.strip(), cost=hint.cost) for hint in pack.hints)
    return Incident(
        choice=choice,
        scenario=scenario,
        config=PACK_CONFIG,
        title=pack.title,
        symptom=pack.symptom.strip(),
        difficulty=str(pack.difficulty),
        hints=own or hints_about(scenario),
        debrief=pack.debrief.strip() or _truth(scenario),
    )


def actions_of(incident: Incident) -> list[str]:
    """Every action that can be taken, as it is written."""
    none = incident.config.none_diagnosis
    return [action_text(each) for each in PACK_ACTIONS if none or not isinstance(each, DiagnoseNone)]


def hints_about(scenario: Scenario) -> tuple[Hint, ...]:
    """Three hints, each nearer to the answer: where to look, which service, how to tell what is wrong with it."""
    if not scenario.faults:
        return (
            Hint(text="Ask whether any user is hurt at all, and for how long.", cost=_WHERE_COST),
            Hint(
                text="Compare every service with its objectives for two steps before you touch one.", cost=_WHICH_COST
            ),
        )
    fault = scenario.faults[0]
    near = sorted({fault.service, *_neighbours(fault.service)[:2]}, key=list(Service).index)
    later = " Something else breaks later." if len(scenario.faults) > 1 else ""
    return (
        Hint(text=f"Begin with one of these: {', '.join(near)}.", cost=_WHERE_COST),
        Hint(text=f"The trouble is in {fault.service}.{later}", cost=_WHICH_COST),
        Hint(text=_HOW[fault.mode], cost=_HOW_COST),
    )


def _neighbours(service: Service) -> list[Service]:
    callers = [caller for caller, called in CALLS.items() if service in called]
    return [*callers, *CALLS[service]]


def _truth(scenario: Scenario) -> str:
    if not scenario.faults:
        return "Nothing was broken."
    return f"Broken: {', '.join(map(str, scenario.faults))}."
