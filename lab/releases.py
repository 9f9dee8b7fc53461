"""The releases of the services: what each one is made of, which ones a lab has at once, and what is shown of them.

A faulty release comes in several strengths. Each strength is a release with an image of its own, because nothing but
its image may tell a service how faulty it is. All of them report `1.5.0`, as the sound one does.
"""

from __future__ import annotations

from collections.abc import Mapping

from mirr.env.vocabulary import NEXT_RELEASE, STEADY_RELEASE

SOUND_RELEASE = f"{NEXT_RELEASE}-sound"
"""The next release without a fault."""

SLOW_RELEASE = f"{NEXT_RELEASE}-slow"
LEAKY_RELEASE = f"{NEXT_RELEASE}-leaky"
CRASHING_RELEASE = f"{NEXT_RELEASE}-crashing"

RELEASES = (STEADY_RELEASE, NEXT_RELEASE, SOUND_RELEASE, SLOW_RELEASE, LEAKY_RELEASE, CRASHING_RELEASE)
"""The releases that the base task needs: the faulty ones in their usual strength."""

_TRAIL = f"{NEXT_RELEASE}-trail"  # what the releases with a trail share


def mild(release: str) -> str:
    """The release with the same fault, but less of it."""
    return f"{release}-mild"


def strong(release: str) -> str:
    """The release with the same fault, and more of it."""
    return f"{release}-strong"


def _layers() -> dict[str, tuple[str, ...]]:
    usual = {
        NEXT_RELEASE: (NEXT_RELEASE,),
        SLOW_RELEASE: (_TRAIL, SLOW_RELEASE),
        LEAKY_RELEASE: (_TRAIL, LEAKY_RELEASE),
        CRASHING_RELEASE: (_TRAIL, CRASHING_RELEASE),
    }
    others = {other(release): (*below, other(release)) for release, below in usual.items() for other in (mild, strong)}
    return {STEADY_RELEASE: (), SOUND_RELEASE: (SOUND_RELEASE,)} | usual | others


LAYERS: Mapping[str, tuple[str, ...]] = _layers()
"""Every release, and the folders of `services/releases/` that are laid over the steady tree for it, in this order."""


def shown(release: str) -> str:
    """What people and agents may see of a release: its number. The rest would say what is wrong with it."""
    return release.partition("-")[0]
