"""What `mirr results` plays: which agents, in which tiers of which worlds, from which seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirr.cli.worlds import WorldName

if TYPE_CHECKING:
    from mirr.agents.registry import PolicyName
    from mirr.bridge.results.cells import Cell
    from mirr.env.vocabulary import Tier

FIRST_SEED = 1
EPISODES: dict[WorldName, int] = {WorldName.SIM: 1_000, WorldName.DOCKER: 40}
"""How many episodes an agent plays in a tier, unless the user says so."""


def main_policies() -> tuple[PolicyName, ...]:
    """The agents that one wants to compare. The others show what does not pay, or need something from outside, and play
    on a lab only on request."""
    from mirr.agents.registry import SELF_SUFFICIENT, PolicyName

    others = {
        PolicyName.WAIT,
        PolicyName.BRUTE_FORCE,
        PolicyName.FARM,
        PolicyName.RESTART_ALL,
        PolicyName.SCALE_ALL,
        PolicyName.ROLLBACK_ALL,
        PolicyName.FIRST_ALERT,
        PolicyName.ONLY_UP,
        PolicyName.ONLY_LATENCY,
        PolicyName.ONLY_CPU,
        PolicyName.ONLY_MEMORY,
        PolicyName.ONLY_ERRORS,
        PolicyName.ONLY_LOG_VOLUME,
    }
    return tuple(name for name in SELF_SUFFICIENT if name not in others)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be played. A cell may have some of it already."""

    worlds: tuple[WorldName, ...]
    policies: dict[WorldName, tuple[PolicyName, ...]]
    tiers: tuple[Tier, ...]
    seeds: dict[WorldName, range]

    def cells(self, world: WorldName) -> Iterator[Cell]:
        """The cells of a world, tier by tier."""
        from mirr.bridge.results.cells import Cell

        for tier in self.tiers:
            for policy in self.policies[world]:
                yield Cell(world, tier, policy)


def make_plan(
    worlds: Sequence[WorldName], policies: Sequence[str], tiers: Sequence[str], *, seed: int, episodes: int | None
) -> Plan:
    """The plan for what the user asked for. Empty names stand for the defaults. Raises UnknownName,
    BadSeed, and RecordError for seeds that a table cannot hold."""
    from mirr.agents.registry import SELF_SUFFICIENT, parse_policy
    from mirr.bridge.arrow import refuse_large_seed
    from mirr.env.scenario import checked_seed
    from mirr.env.vocabulary import Tier, parse_tier

    first = checked_seed(seed)
    chosen = tuple(dict.fromkeys(parse_policy(name) for name in policies))
    seeds = {world: range(first, first + (EPISODES[world] if episodes is None else episodes)) for world in WorldName}
    refuse_large_seed(max(each[-1] for each in seeds.values()), "the last episode", "a smaller --seed")
    defaults = {WorldName.SIM: SELF_SUFFICIENT, WorldName.DOCKER: main_policies()}
    return Plan(
        worlds=tuple(worlds),
        policies={world: chosen or defaults[world] for world in WorldName},
        tiers=tuple(dict.fromkeys(parse_tier(name) for name in tiers)) or tuple(Tier),
        seeds=seeds,
    )
