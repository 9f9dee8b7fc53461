"""How hard a drawn incident is: one module a tier, and this table. Nothing else lists them."""

from __future__ import annotations

from mirr.env.simulator.fast.compiled import chosen
from mirr.env.tiers import easy, hard, medium
from mirr.env.tiers.rules import Rules
from mirr.env.vocabulary import Tier

TIERS: dict[Tier, Rules] = {Tier.EASY: easy.RULES, Tier.MEDIUM: medium.RULES, Tier.HARD: hard.RULES}

TIER_NUMBER: dict[Tier, int] = {tier: number for number, tier in enumerate(Tier)}

choose = chosen([TIERS[tier].choose for tier in Tier])
"""`choose(number of the tier, s, key, i)`: see `Rules.choose`."""
