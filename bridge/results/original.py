"""What the original MIRR published about its own agents in its own environment. Nothing of it was measured here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Theirs:
    """One row of what they published, as they wrote it."""

    agent: str
    where: str
    success: str
    diagnosed: str
    reward: str


THEIRS: tuple[Theirs, ...] = (
    Theirs(agent="random", where="its README", success="10%", diagnosed="5%", reward="-8.2"),
    Theirs(agent="heuristic", where="its README", success="~68%", diagnosed="~99%", reward="~81"),
    Theirs(agent="trained LLM", where="its README", success="68%", diagnosed="61%", reward="22.7"),
    Theirs(agent="random", where="its results file", success="26%", diagnosed="4%", reward="-18.1"),
    Theirs(agent="heuristic", where="its results file", success="100%", diagnosed="100%", reward="56.0"),
)
"""Their README and their results file differ. They state no intervals."""


def their_table() -> str:
    """The table of what they published, as Markdown."""
    lines = ["| agent of the original MIRR | published in | success | diagnosed | reward |", "|---|---|---|---|---|"]
    lines += [f"| {row.agent} | {row.where} | {row.success} | {row.diagnosed} | {row.reward} |" for row in THEIRS]
    return "\n".join(lines)
