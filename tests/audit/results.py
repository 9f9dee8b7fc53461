"""Checks that the answer to an action is in the table of results."""

from __future__ import annotations

from mirr.env.results import reasons_for, result_text
from mirr.env.vocabulary import NEXT_RELEASE
from tests.audit.transcript import Seen


def result_problem(seen: Seen) -> str | None:
    """The problem with the answer to the action, or None if it is correct."""
    action, reason, text = seen.action, seen.observation.last_reason, seen.observation.last_result
    if action is None:
        return None if (reason, text) == (None, "") else f"a reset answers {reason}: {text!r}; it has no result"
    lines = len(seen.observation.logs)
    texts = {each: result_text(action, each, log_lines=lines) for each in reasons_for(action)}
    # A faulty release may have come after a harmless one. A rollback goes back to that.
    later = {each: result_text(action, each, log_lines=lines, release=NEXT_RELEASE) for each in reasons_for(action)}
    if text not in (*texts.values(), *later.values()):
        return f"the result of {action} is {text!r}; one of: {'; '.join(map(repr, texts.values()))}"
    if reason is None or text not in (texts.get(reason), later.get(reason)):
        return f"last_reason is {reason} where the result of {action} is {text!r}"
    return None
