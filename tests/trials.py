"""How often tests with random cases try. `MIRR_TRIALS=10` tries ten times as many cases as usual."""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("MIRR_TRIALS", "1"))


def trials(usual: int) -> int:
    """The number of cases: `usual`, unless MIRR_TRIALS asks for more or fewer. At least one."""
    return max(1, round(usual * FACTOR))
