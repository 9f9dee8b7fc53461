"""The policy `llm`: a language model behind an OpenAI-compatible endpoint decides."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import numpy as np

from mirr.agents.llm.answers import tools
from mirr.agents.llm.asking import SAYS, Asker, Dialect
from mirr.agents.llm.conversation import Conversation
from mirr.agents.llm.settings import Settings, settings_from
from mirr.agents.llm.transcript import Transcript, transcript_path
from mirr.agents.llm.transport import Send, open_endpoint
from mirr.env.environment import Observation
from mirr.env.scenario import EpisodeConfig, Scenario
from mirr.env.vocabulary import Action, Wait


@dataclass(kw_only=True)
class Line:
    """A connection to a model. The episodes of a process share it."""

    settings: Settings
    send: Send
    transcript: Transcript
    dialect: Dialect
    now: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)


@cache
def line_from_environment() -> Line:
    """The connection that the environment variables describe. Raises BadSettings."""
    settings = settings_from(os.environ)
    send = open_endpoint(settings.endpoint)
    path = None if settings.transcripts is None else transcript_path(settings.transcripts, datetime.now(UTC))
    return Line(settings=settings, send=send, transcript=Transcript(path), dialect=Dialect(settings.tools))


class LlmPolicy:
    """Asks the model in each step. A step without an action in time passes with `wait`."""

    def __init__(self, line: Line, *, none_diagnosis: bool, seed: int | None = None, tier: str | None = None) -> None:
        """`seed` and `tier` are only written into the transcript."""
        self._line = line
        self._config = EpisodeConfig(none_diagnosis=none_diagnosis)
        self._seed, self._tier = seed, tier
        self._begin()

    @classmethod
    def of(cls, scenario: Scenario, *, none_diagnosis: bool) -> LlmPolicy:
        """The policy for an episode, with the connection of this process. Raises BadSettings."""
        return cls(line_from_environment(), none_diagnosis=none_diagnosis, seed=scenario.seed, tier=scenario.tier)

    def _begin(self) -> None:
        line = self._line
        self._talk = Conversation(self._config)
        self._asker = Asker(line.settings, self._config, line.send, line.dialect, now=line.now, sleep=line.sleep)
        self._written = 0

    def reset(self, rng: np.random.Generator) -> None:
        """A new episode: a new conversation, and the whole budget."""
        self._begin()
        settings = self._line.settings
        offered = tools(self._config) if self._line.dialect.tools else []
        self._line.transcript.episode(settings, seed=self._seed, tier=self._tier, offered=offered)

    def act(self, observation: Observation) -> Action:
        """What the model says, or `wait`."""
        talk, line = self._talk, self._line
        talk.see(observation)
        asked = self._asker.ask(talk)
        messages = talk.messages(tools=line.dialect.tools)
        if asked.action is not None:
            talk.act(asked.action, asked.said)
        else:
            assert asked.loss is not None
            talk.lose(SAYS[asked.loss], asked.said)
        taken = Wait() if asked.action is None else asked.action
        new, self._written = messages[self._written :], len(messages)
        line.transcript.step(observation.step, new, asked, taken, settings=line.settings, tools=line.dialect.tools)
        return taken
