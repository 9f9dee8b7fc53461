"""The environment variables of the policy `llm`, and `.env.example`, which lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mirr.agents.llm.settings import (
    GROQ_MODEL,
    GROQ_URL,
    OPENAI_URL,
    BadSettings,
    Endpoint,
    Limits,
    Prices,
    Variable,
    settings_from,
)
from tests.paths import ROOT

LOCAL = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "MIRR_LLM_MODEL": "tiny"}


def test_a_key_of_groq_is_enough() -> None:
    assert settings_from({"GROQ_API_KEY": "g"}).endpoint == Endpoint(base_url=GROQ_URL, key="g", model=GROQ_MODEL)
    assert settings_from({"GROQ_API_KEY": "g", "MIRR_LLM_MODEL": "m"}).endpoint.model == "m"


def test_an_endpoint_of_its_own_goes_before_groq_and_needs_no_key() -> None:
    endpoint = settings_from(LOCAL | {"GROQ_API_KEY": "g"}).endpoint
    assert (endpoint.base_url, endpoint.model, endpoint.key) == ("http://127.0.0.1:1/v1", "tiny", "none")


def test_a_key_without_an_address_is_for_openai() -> None:
    endpoint = settings_from({"OPENAI_API_KEY": "o", "MIRR_LLM_MODEL": "m"}).endpoint
    assert (endpoint.base_url, endpoint.key) == (OPENAI_URL, "o")


def test_the_key_and_the_password_are_never_shown() -> None:
    endpoint = settings_from(
        LOCAL | {"OPENAI_API_KEY": "secret", "OPENAI_BASE_URL": "https://me:word@host/v1?k=1"}
    ).endpoint
    assert "secret" not in repr(endpoint)
    assert endpoint.shown_url == "https://host/v1"


def test_limits_prices_and_transcripts_can_be_set() -> None:
    chosen = {
        "MIRR_LLM_TOOLS": "no",
        "MIRR_LLM_TEMPERATURE": "0",
        "MIRR_LLM_TURNS": "3",
        "MIRR_LLM_ANSWER_TOKENS": "10",
        "MIRR_LLM_ANSWER_SECONDS": "1.5",
        "MIRR_LLM_EPISODE_TOKENS": "1000",
        "MIRR_LLM_EPISODE_SECONDS": "60",
        "MIRR_LLM_PROMPT_PRICE": "0.1",
        "MIRR_LLM_ANSWER_PRICE": "0.4",
        "MIRR_LLM_TRANSCRIPTS": "kept",
    }
    settings = settings_from(LOCAL | chosen)
    assert settings.limits == Limits(answer_tokens=10, answer_s=1.5, episode_tokens=1000, episode_s=60.0, turns=3)
    assert (settings.tools, settings.temperature, settings.transcripts) == (False, 0.0, Path("kept"))
    assert settings.prices == Prices(prompt=0.1, answer=0.4)
    assert settings.prices.cost(1_000_000, 500_000) == pytest.approx(0.3)


def test_without_a_choice_a_transcript_is_kept_and_with_nothing_none() -> None:
    assert settings_from(LOCAL).transcripts == Path("records/llm")
    assert settings_from(LOCAL | {"MIRR_LLM_TRANSCRIPTS": ""}).transcripts is None


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {},
            "the policy llm has no model to ask; next: set GROQ_API_KEY, or OPENAI_API_KEY and MIRR_LLM_MODEL, or "
            "OPENAI_BASE_URL (any OpenAI-compatible endpoint) and MIRR_LLM_MODEL; see .env.example",
        ),
        (
            {"OPENAI_API_KEY": "o"},
            "the policy llm needs the name of a model at https://api.openai.com/v1; next: set MIRR_LLM_MODEL",
        ),
        (LOCAL | {"OPENAI_BASE_URL": "host"}, "OPENAI_BASE_URL begins with http:// or https://; got 'host'"),
        (LOCAL | {"MIRR_LLM_TURNS": "0"}, "MIRR_LLM_TURNS is a whole number from 1 up; got '0'"),
        (LOCAL | {"MIRR_LLM_ANSWER_SECONDS": "nan"}, "MIRR_LLM_ANSWER_SECONDS is a number from 0 up; got 'nan'"),
        (LOCAL | {"MIRR_LLM_TOOLS": "perhaps"}, "MIRR_LLM_TOOLS is yes or no; got 'perhaps'"),
        (
            LOCAL | {"MIRR_LLM_PROMPT_PRICE": "1"},
            "MIRR_LLM_PROMPT_PRICE and MIRR_LLM_ANSWER_PRICE are set together, or not at all",
        ),
    ],
)
def test_what_cannot_be_played_with_is_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(BadSettings) as refused:
        settings_from(environ)
    assert str(refused.value) == message


def test_the_example_lists_every_variable() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^#? ?([A-Z][A-Z_]+)=", text)
    assert [name for name in listed if name in tuple(Variable)] == list(Variable)
    notebook = {"MIRR_NOTEBOOK_MODEL", "MIRR_NOTEBOOK_BASE", "MIRR_NOTEBOOK_MINUTES"}
    assert set(listed) - set(Variable) == {"HF_TOKEN", "HF_HUB_USERNAME"} | notebook
