"""Checks that the answer to an action is in the table of results."""

from __future__ import annotations

from mirr.env.results import reasons_for, result_text
from tests.audit.transcript import Seen


def result_problem(seen: Seen) -> str | None:
    """The problem with the answer to the action, or None if it is correct."""
    action, reason, text = seen.action, seen.observation.last_reason, seen.observation.last_result
    if action is None:
        return None if (reason, text) == (None, "") else f"a reset answers {reason}: {text!r}; it has no result"
    texts = {each: result_text(action, each, log_lines=len(seen.observation.logs)) for each in reasons_for(action)}
    if text not in texts.values():
        return f"the result of {action} is {text!r}; one of: {'; '.join(map(repr, texts.values()))}"
    if reason is None or texts.get(reason) != text:
        return f"last_reason is {reason} where the result of {action} is {text!r}"
    return None
