"""Asks a model for one action after another, within the budget of an episode. Whatever goes wrong costs a step."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from mirr.agents.llm.answers import NoAction, action_in, action_of_call, tools
from mirr.agents.llm.conversation import Conversation, Message
from mirr.agents.llm.settings import Settings
from mirr.agents.llm.transport import Body, Late, Refused, Send, Unreachable
from mirr.env.quoting import quoted
from mirr.env.scenario import EpisodeConfig
from mirr.env.vocabulary import Action

TRIES: Final = 4  # at one question, while the endpoint is busy
FIRST_PAUSE_S: Final = 1.0  # doubled after each try, where the endpoint does not say how long to wait
BUSY: Final = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
"""Answers that say: later."""

FAILED_CALL: Final = "failed_generation"
"""What Groq says where the model tried to call a tool, and wrote no valid call."""

CHARACTERS_A_TOKEN: Final = 4  # for a prompt before it is counted, and for endpoints that count nothing

_log: Final = logging.getLogger(__name__)


class Loss(StrEnum):
    """Why a step was lost."""

    NO_ACTION = "no_action"  # the model answered, but there is no action in it
    NO_ANSWER = "no_answer"  # what the endpoint sent is not an answer of a model
    LATE = "late"
    BUSY = "busy"  # rate limits and overload, for longer than there was time
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # for good: a wrong key, an unknown model
    TOKENS_SPENT = "tokens_spent"
    TIME_SPENT = "time_spent"


SAYS: Final[dict[Loss, str]] = {
    Loss.NO_ACTION: "There was no action in your answer",
    Loss.NO_ANSWER: "No answer came",
    Loss.LATE: "No answer came in time",
    Loss.BUSY: "No answer came in time",
    Loss.UNREACHABLE: "No answer came",
    Loss.REFUSED: "No answer came",
    Loss.TOKENS_SPENT: "No answer came",
    Loss.TIME_SPENT: "No answer came in time",
}
"""What the model is told about it."""


@dataclass(kw_only=True)
class Asked:
    """How it went to ask for one action."""

    action: Action | None = None
    loss: Loss | None = None
    detail: str = ""  # of the loss
    said: str = ""  # what the model wrote
    answer: Message | None = None  # as the endpoint sent it
    prompt_tokens: int = 0
    answer_tokens: int = 0
    counted: bool = False  # by the endpoint; else estimated
    tries: int = 0
    latency_s: float = 0.0  # of the last try
    paused_s: float = 0.0  # between tries


@dataclass
class Dialect:
    """What this endpoint understands. An episode finds it out once, and the others begin with it."""

    tools: bool
    limit: str = "max_tokens"  # newer models of OpenAI want `max_completion_tokens`


class Asker:
    """The budget of one episode, and the questions asked from it."""

    def __init__(
        self,
        settings: Settings,
        config: EpisodeConfig,
        send: Send,
        dialect: Dialect,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._settings = settings
        self._tools = tools(config)
        self._send = send
        self.dialect = dialect
        self._now = now
        self._sleep = sleep
        self._over_s = now() + settings.limits.episode_s
        self._tokens_left = settings.limits.episode_tokens
        self._refused = ""
        self._patient = True

    def ask(self, talk: Conversation) -> Asked:
        """Ask for the next action. Raises nothing that has to do with the endpoint or the model."""
        asked = Asked()
        try:
            content = self._content(talk, asked)
            self._patient = True
            self._count(content, asked)
            self._understand(content, asked)
        except _Lost as lost:
            asked.loss, asked.detail = lost.loss, lost.detail
        except NoAction as error:
            asked.loss, asked.detail = Loss.NO_ACTION, str(error)
        self._tokens_left -= asked.prompt_tokens + asked.answer_tokens
        return asked

    def _content(self, talk: Conversation, asked: Asked) -> dict[str, Any]:
        """What the endpoint answers. It is asked again while it is busy, and once for each thing that it refuses."""
        pause_s, without_tools = FIRST_PAUSE_S, not self.dialect.tools
        while True:
            body, timeout_s = self._body(talk, asked)
            try:
                return _parsed(self._sent(body, timeout_s, asked))
            except Late as error:
                raise _Lost(Loss.LATE, str(error)) from error
            except Unreachable as error:
                asked.prompt_tokens = 0  # nobody has read it
                self._pause(Loss.UNREACHABLE, str(error), pause_s, asked)
            except Refused as error:
                asked.prompt_tokens = 0
                if FAILED_CALL in error.text:
                    raise _Lost(Loss.NO_ACTION, str(error)) from error
                if error.status in BUSY:
                    wanted_s = _retry_after_s(error)
                    self._pause(Loss.BUSY, str(error), pause_s if wanted_s is None else wanted_s, asked)
                elif not self._adapted(error):
                    self.dialect.tools = not without_tools  # they were not the reason
                    self._refused = str(error)
                    _warn_once(f"{self._settings.endpoint.shown_url} refuses every question: {error}")
                    raise _Lost(Loss.REFUSED, self._refused) from error
            pause_s *= 2.0

    def _sent(self, body: Body, timeout_s: float, asked: Asked) -> bytes:
        asked.tries += 1
        began_s = self._now()
        try:
            return self._send(body, timeout_s)
        finally:
            asked.latency_s = self._now() - began_s

    def _body(self, talk: Conversation, asked: Asked) -> tuple[Body, float]:
        """The next request, and how long it may take. Raises _Lost if the budget has nothing left."""
        settings, dialect = self._settings, self.dialect
        if self._refused:
            raise _Lost(Loss.REFUSED, self._refused)
        left_s = self._over_s - self._now()
        if left_s <= 0.0:
            raise _Lost(Loss.TIME_SPENT, f"the {settings.limits.episode_s:g} s of the episode are spent")
        messages = talk.messages(tools=dialect.tools, turns=settings.limits.turns)
        asked.prompt_tokens = len(json.dumps(messages)) // CHARACTERS_A_TOKEN  # until the endpoint counts
        room = self._tokens_left - asked.prompt_tokens
        if room < 1:
            asked.prompt_tokens = 0
            raise _Lost(Loss.TOKENS_SPENT, f"the {settings.limits.episode_tokens} tokens of the episode are spent")
        body: Body = {"model": settings.endpoint.model, "messages": messages}
        body[dialect.limit] = min(settings.limits.answer_tokens, room)
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        if dialect.tools:
            body["tools"] = self._tools
        return body, min(settings.limits.answer_s, left_s)

    def _pause(self, loss: Loss, why: str, pause_s: float, asked: Asked) -> None:
        """Wait before the next try. Raises _Lost if there is none, or no time for it."""
        if asked.tries >= (TRIES if self._patient else 1):
            self._patient = loss is not Loss.UNREACHABLE  # the next steps need not wait for an endpoint that is gone
            raise _Lost(loss, why if asked.tries == 1 else f"{why}, {asked.tries} times")
        left_s = self._over_s - self._now()
        if pause_s >= left_s:
            raise _Lost(loss, f"{why}; the next try is in {pause_s:g} s, and the episode has {left_s:.1f} s left")
        self._sleep(pause_s)
        asked.paused_s += pause_s

    def _adapted(self, error: Refused) -> bool:
        """Whether there is another way to ask."""
        dialect = self.dialect
        if error.status not in (400, 404, 422, 501):
            return False
        if "max_completion_tokens" in error.text and dialect.limit == "max_tokens":
            dialect.limit = "max_completion_tokens"
            return True
        if dialect.tools:
            dialect.tools = False
            return True
        return False

    def _count(self, content: dict[str, Any], asked: Asked) -> None:
        """The tokens of this question, as the endpoint counts them."""
        match content.get("usage"):
            case {"prompt_tokens": int(read), "completion_tokens": int(written)} if read >= 0 and written >= 0:
                asked.prompt_tokens, asked.answer_tokens, asked.counted = read, written, True
            case _:
                asked.answer_tokens = len(json.dumps(content.get("choices"))) // CHARACTERS_A_TOKEN

    def _understand(self, content: dict[str, Any], asked: Asked) -> None:
        """The action in an answer. Raises _Lost or NoAction."""
        match content:
            case {"choices": [{"message": dict(message)}, *_]}:
                asked.answer = message
            case _:
                raise _Lost(Loss.NO_ANSWER, f"no message in {quoted(content)}")
        text = message.get("content")
        asked.said = text if isinstance(text, str) else ""
        match message.get("tool_calls"):
            case [{"function": {"name": name, "arguments": arguments}}, *_]:  # one action a step: the first counts
                asked.action = action_of_call(name, arguments)
            case _:
                asked.action = action_in(asked.said)


class _Lost(Exception):
    def __init__(self, loss: Loss, detail: str) -> None:
        super().__init__(detail)
        self.loss = loss
        self.detail = detail


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise _Lost(Loss.NO_ANSWER, f"not JSON: {quoted(content[:200].decode(errors='replace'))}") from error
    if not isinstance(found, dict):
        raise _Lost(Loss.NO_ANSWER, f"not a JSON object: {quoted(found)}")
    return found


def _retry_after_s(error: Refused) -> float | None:
    """How long the endpoint asks to wait, in seconds; None if it does not say, or not clearly."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = error.headers.get(name, "")
        try:
            wanted_s = float(text) * unit_s
        except ValueError:
            continue
        if 0.0 <= wanted_s < 1e9:  # not nan
            return wanted_s
    return _until_date_s(error.headers.get("retry-after", ""))


def _until_date_s(text: str) -> float | None:
    try:
        due = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if due.tzinfo is None:
        due = due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


@cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)
