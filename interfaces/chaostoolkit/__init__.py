"""The lab for Chaos Toolkit: actions, probes, a control, and the function that the toolkit's discovery calls."""

from __future__ import annotations

from importlib.metadata import version

# chaostoolkit-lib ships no types, so what comes from it is Any.
from chaoslib.discovery.discover import (  # type: ignore[import-untyped]
    discover_actions,
    discover_probes,
    initialize_discovery_result,
)
from chaoslib.types import Discovery  # type: ignore[import-untyped]

__all__ = ["discover"]


def discover(discover_system: bool = True) -> Discovery:
    """Every action and probe of this extension. There is no system to discover before a lab is named."""
    found = initialize_discovery_result("mirr-lab", version("mirr-lab"), "mirr-lab")
    found["activities"] += discover_actions("mirr.interfaces.chaostoolkit.actions")
    found["activities"] += discover_probes("mirr.interfaces.chaostoolkit.probes")
    return found
