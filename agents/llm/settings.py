"""Which model plays, and what it may cost: read from environment variables. `.env.example` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from mirr.env.quoting import quoted

OPENAI_URL: Final = "https://api.openai.com/v1"
GROQ_URL: Final = "https://api.groq.com/openai/v1"
GROQ_MODEL: Final = "openai/gpt-oss-20b"
NO_KEY: Final = "none"
"""What is sent as the key to an endpoint that needs none. The client refuses to send nothing."""


class Variable(StrEnum):
    """The environment variables."""

    BASE_URL = "OPENAI_BASE_URL"
    KEY = "OPENAI_API_KEY"
    GROQ_KEY = "GROQ_API_KEY"
    MODEL = "MIRR_LLM_MODEL"
    TOOLS = "MIRR_LLM_TOOLS"
    TEMPERATURE = "MIRR_LLM_TEMPERATURE"
    TURNS = "MIRR_LLM_TURNS"
    ANSWER_TOKENS = "MIRR_LLM_ANSWER_TOKENS"
    ANSWER_SECONDS = "MIRR_LLM_ANSWER_SECONDS"
    EPISODE_TOKENS = "MIRR_LLM_EPISODE_TOKENS"
    EPISODE_SECONDS = "MIRR_LLM_EPISODE_SECONDS"
    PROMPT_PRICE = "MIRR_LLM_PROMPT_PRICE"
    ANSWER_PRICE = "MIRR_LLM_ANSWER_PRICE"
    TRANSCRIPTS = "MIRR_LLM_TRANSCRIPTS"


class BadSettings(ValueError):
    """The policy `llm` cannot play with these environment variables. The message says what to set."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the model is."""

    base_url: str
    model: str
    key: str = field(default=NO_KEY, repr=False)

    @property
    def shown_url(self) -> str:
        """The address without a user, a password or a query."""
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an answer and an episode may take. Where a limit is reached, the rest of the episode is waited out."""

    answer_tokens: int = 1024
    answer_s: float = 60.0
    episode_tokens: int = 200_000  # of all prompts and answers
    episode_s: float = 900.0  # from the first observation on
    turns: int = 30  # how many of the last observations a prompt holds


@dataclass(frozen=True, kw_only=True)
class Prices:
    """In USD for a million tokens."""

    prompt: float
    answer: float

    def cost(self, prompt_tokens: int, answer_tokens: int) -> float:
        """In USD."""
        return (self.prompt * prompt_tokens + self.answer * answer_tokens) / 1e6


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the policy `llm` reads from its environment."""

    endpoint: Endpoint
    limits: Limits = Limits()
    tools: bool = True  # whether to offer tools. If the endpoint refuses them, the agent asks for text
    temperature: float | None = None  # None: the endpoint's own
    prices: Prices | None = None
    transcripts: Path | None = None  # the folder; None: nothing is kept


DEFAULT_TRANSCRIPTS: Final = Path("records", "llm")


def settings_from(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` has. Raises BadSettings."""
    limits = Limits()
    folder = environ.get(Variable.TRANSCRIPTS)
    return Settings(
        endpoint=_endpoint(environ),
        limits=Limits(
            answer_tokens=_whole(environ, Variable.ANSWER_TOKENS, limits.answer_tokens),
            answer_s=_seconds(environ, Variable.ANSWER_SECONDS, limits.answer_s),
            episode_tokens=_whole(environ, Variable.EPISODE_TOKENS, limits.episode_tokens),
            episode_s=_seconds(environ, Variable.EPISODE_SECONDS, limits.episode_s),
            turns=_whole(environ, Variable.TURNS, limits.turns),
        ),
        tools=_yes(environ, Variable.TOOLS),
        temperature=_number(environ, Variable.TEMPERATURE),
        prices=_prices(environ),
        transcripts=DEFAULT_TRANSCRIPTS if folder is None else Path(folder) if folder else None,
    )


def _endpoint(environ: Mapping[str, str]) -> Endpoint:
    url, key, groq = (environ.get(name, "").strip() for name in (Variable.BASE_URL, Variable.KEY, Variable.GROQ_KEY))
    model = environ.get(Variable.MODEL, "").strip()
    if not url and not key:
        if groq:
            return Endpoint(base_url=GROQ_URL, key=groq, model=model or GROQ_MODEL)
        raise BadSettings(
            f"the policy llm has no model to ask; next: set {Variable.GROQ_KEY}, or {Variable.KEY} and "
            f"{Variable.MODEL}, or {Variable.BASE_URL} (any OpenAI-compatible endpoint) and {Variable.MODEL}; "
            "see .env.example"
        )
    if url and not url.startswith(("http://", "https://")):
        raise BadSettings(f"{Variable.BASE_URL} begins with http:// or https://; got {quoted(url)}")
    if not model:
        raise BadSettings(
            f"the policy llm needs the name of a model at {url or OPENAI_URL}; next: set {Variable.MODEL}"
        )
    return Endpoint(base_url=url or OPENAI_URL, key=key or NO_KEY, model=model)


def _number(environ: Mapping[str, str], name: Variable) -> float | None:
    """The number that a variable has, from 0 up; None if it is not set."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < 1e12:  # nan, too
        raise BadSettings(f"{name} is a number from 0 up; got {quoted(text)}")
    return number


def _seconds(environ: Mapping[str, str], name: Variable, usual: float) -> float:
    number = _number(environ, name)
    return usual if number is None else number


def _whole(environ: Mapping[str, str], name: Variable, usual: int) -> int:
    number = _number(environ, name)
    if number is None:
        return usual
    if number < 1.0 or not number.is_integer():
        raise BadSettings(f"{name} is a whole number from 1 up; got {quoted(environ[name])}")
    return int(number)


def _yes(environ: Mapping[str, str], name: Variable) -> bool:
    text = environ.get(name, "").strip().lower()
    if text not in ("", "yes", "no"):
        raise BadSettings(f"{name} is yes or no; got {quoted(text)}")
    return text != "no"


def _prices(environ: Mapping[str, str]) -> Prices | None:
    prompt, answer = (_number(environ, name) for name in (Variable.PROMPT_PRICE, Variable.ANSWER_PRICE))
    if prompt is None and answer is None:
        return None
    if prompt is None or answer is None:
        raise BadSettings(f"{Variable.PROMPT_PRICE} and {Variable.ANSWER_PRICE} are set together, or not at all")
    return Prices(prompt=prompt, answer=answer)
