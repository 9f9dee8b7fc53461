"""An episode as a conversation: the agent's duty, what it saw, what it did. Agents and data sets have the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from mirr.agents.llm.answers import call_of, how_to_write
from mirr.env.briefing import duty, judgement
from mirr.env.environment import Observation
from mirr.env.rendering import render
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import Action, action_text

Message = dict[str, Any]
"""A message as an OpenAI-compatible endpoint takes it."""

MOST_SAID: Final = 2000
"""How many characters of what a model said are kept in the conversation: the last ones, where its action is."""

_READS: Final = (
    "Each action is one step: it acts, lets {step_s:g} s of the services' time pass, and then you see the metrics of "
    "that step. They have noise of about {noise:.0%}; - is what could not be measured."
)


def system_text(config: EpisodeConfig, *, tools: bool) -> str:
    """What a model is told at the beginning."""
    answer = "Call one tool in each step." if tools else how_to_write(config)
    reads = _READS.format(step_s=config.step_s, noise=config.noise)
    return f"{duty(config)} {reads} {judgement()}\n{answer}"


@dataclass(kw_only=True)
class Turn:
    """What was seen, and what came of it."""

    seen: str
    action: Action | None = None  # None: not yet, or the step was lost
    said: str = ""  # what the model wrote beside its action
    lost: str = ""  # why the step was lost


class Conversation:
    """The turns of one episode."""

    def __init__(self, config: EpisodeConfig) -> None:
        self._config = config
        self._turns: list[Turn] = []

    def see(self, observation: Observation) -> str:
        """One more observation, which begins a turn. Returns it as text."""
        self._turns.append(Turn(seen=render(observation)))
        return self._turns[-1].seen

    def act(self, action: Action, said: str = "") -> None:
        """The action of this turn, and what was said beside it."""
        self._turns[-1].action = action
        self._turns[-1].said = said[-MOST_SAID:]

    def lose(self, why: str, said: str = "") -> None:
        """This turn brought no action. The step passes with `wait`."""
        self._turns[-1].lost = why
        self._turns[-1].said = said[-MOST_SAID:]

    def messages(self, *, tools: bool, turns: int | None = None) -> list[Message]:
        """The conversation so far: the system's text, and the last `turns` (None: all)."""
        shown = self._turns if turns is None else self._turns[-turns:]
        first = len(self._turns) - len(shown)
        found: list[Message] = [{"role": "system", "content": system_text(self._config, tools=tools)}]
        for number, turn in enumerate(shown, start=first):
            before = self._turns[number - 1] if number > first else None
            found.append(_seen(turn, before, number, tools=tools))
            if turn.action is not None or turn.lost:
                found.append(_answered(turn, number, tools=tools))
        return found


def _seen(turn: Turn, before: Turn | None, number: int, *, tools: bool) -> Message:
    """What the world answered to the turn before."""
    if before is None:
        return {"role": "user", "content": turn.seen}
    if before.lost:
        return {"role": "user", "content": f"{before.lost}. The step passed with wait.\n{turn.seen}"}
    if tools:
        return {"role": "tool", "tool_call_id": _call_id(number - 1), "content": turn.seen}
    return {"role": "user", "content": turn.seen}


def _answered(turn: Turn, number: int, *, tools: bool) -> Message:
    if turn.action is None:
        return {"role": "assistant", "content": turn.said or "(no answer)"}
    if not tools:
        return {"role": "assistant", "content": turn.said or action_text(turn.action)}
    name, arguments = call_of(turn.action)
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": turn.said,
        "tool_calls": [{"id": _call_id(number), "type": "function", "function": function}],
    }


def _call_id(number: int) -> str:
    return f"step{number:05d}"  # nine letters and digits: some endpoints take nothing else
