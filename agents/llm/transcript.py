"""What was asked and answered, as JSON lines: one an episode and one a step. `docs/agents.md` has the fields."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from mirr.agents.llm.answers import Tool
from mirr.agents.llm.asking import Asked
from mirr.agents.llm.conversation import Message
from mirr.agents.llm.settings import BadSettings, Settings
from mirr.env.vocabulary import Action, action_text

SCHEMA: Final = "mirr-llm-transcript"
VERSION: Final = 1

_log: Final = logging.getLogger(__name__)


class Transcript:
    """Writes the lines. Each is on disk as soon as its step is decided. Without a file, nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._episodes = 0
        self._file: IO[str] | None = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("a", encoding="utf-8")
            except OSError as error:
                raise BadSettings(
                    f"cannot write the transcript {path}: {error.strerror}; next: set MIRR_LLM_TRANSCRIPTS to another "
                    "folder, or to nothing for no transcript"
                ) from error

    def episode(self, settings: Settings, *, seed: int | None, tier: str | None, offered: list[Tool]) -> None:
        """A new episode. The seed is for people who read the transcript: the model never sees it."""
        self._episodes += 1
        self._write(
            {
                "kind": "episode",
                "schema": SCHEMA,
                "version": VERSION,
                "episode": self._episodes,
                "began": datetime.now(UTC).isoformat(timespec="seconds"),
                "model": settings.endpoint.model,
                "base_url": settings.endpoint.shown_url,
                "seed": seed,
                "tier": tier,
                "temperature": settings.temperature,
                "limits": asdict(settings.limits),
                "tools": offered,
            }
        )

    def step(
        self, step: int, messages: list[Message], asked: Asked, taken: Action, *, settings: Settings, tools: bool
    ) -> None:
        """A step. `messages` are those that were not in the line before."""
        prices = settings.prices
        cost = None if prices is None else round(prices.cost(asked.prompt_tokens, asked.answer_tokens), 8)
        self._write(
            {
                "kind": "step",
                "episode": self._episodes,
                "step": step,
                "tools": tools,
                "messages": messages,
                "answer": asked.answer,
                "action": action_text(taken),
                "loss": asked.loss,
                "detail": asked.detail,
                "usage": {
                    "prompt_tokens": asked.prompt_tokens,
                    "answer_tokens": asked.answer_tokens,
                    "counted": asked.counted,
                },
                "cost_usd": cost,
                "latency_s": round(asked.latency_s, 3),
                "paused_s": round(asked.paused_s, 3),
                "tries": asked.tries,
            }
        )

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            _log.warning("cannot write the transcript %s any more: %s", self.path, error.strerror)
            self._file = None  # the episodes go on


def transcript_path(folder: Path, now: datetime) -> Path:
    """A name for the transcript of this process."""
    return folder / f"{now:%Y%m%dT%H%M%S}-{os.getpid()}.jsonl"
