"""Hints name the lab that they are about: `mirr revert` is for one lab, `mirr revert --lab v2` for another."""

from __future__ import annotations

import re

from mirr.lab.names import DEFAULT_LAB

# A command in backticks is not a hint: it says who works on the lab.
_COMMAND = re.compile(r"(?<!`)\bmirr (?:up|down|revert|status|doctor|logs SERVICE)\b(?! --lab|-|`)")


def for_lab(text: str, lab: str) -> str:
    """The text with `--lab` at every command of ours in it that works on a lab, unless that is the default lab."""
    return text if lab == DEFAULT_LAB else _COMMAND.sub(rf"\g<0> --lab {lab}", text)
