"""A prompt as text, for a model that has read text before. The answer is one letter."""

from __future__ import annotations

from typing import Final

from mirr.agents.language_model.words import (
    FEATURES,
    LATEST_STEP,
    LOG_FLAGS,
    PAST,
    UNSEEN,
    Whole,
    values_of,
)
from mirr.env.vocabulary import ACTIONS, Action, Diagnose, Service, action_text

ANSWERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
"""The letter of each action."""


def text_of(words: Whole) -> str:
    """One prompt, (LENGTH,), as text."""
    return "".join(place[value] for place, value in zip(pieces(), values_of(words[None])[0].tolist(), strict=True))


def pieces() -> list[list[str]]:
    """For each place of a prompt, the text of each word that can be there. Joined, they are the prompt's text."""
    places = [_step_texts(), _diagnosis_texts(), *[_act_texts()] * PAST]
    places += [_log_texts(service) for service in Service]
    places += _window_texts("before", "")
    places += _window_texts("now", "\naction ")
    return places


def _step_texts() -> list[str]:
    return [f"Incident, step {step}.\ndiagnosis:" for step in range(LATEST_STEP + 1)]


def _diagnosis_texts() -> list[str]:
    found = [f" {action.service} {_plain(action.mode)}" for action in ACTIONS if isinstance(action, Diagnose)]
    return [text + "\ndone:" for text in (" none", *found)]


def _act_texts() -> list[str]:
    done = [f" {_act_text(action)}," for action in ACTIONS]
    return ["", *done, *(f"{text[:-1]} refused," for text in done)]


def _act_text(action: Action) -> str:
    return _plain(action_text(action)).replace("(", " ").replace(")", "").replace(",", "")


def _log_texts(service: Service) -> list[str]:
    lead = "\nlogs:" if service is next(iter(Service)) else ""
    told = [
        ", ".join(flag for bit, flag in enumerate(LOG_FLAGS) if bits >> bit & 1) or "ordinary"
        for bits in range(2 ** len(LOG_FLAGS))
    ]
    return [lead, *(f"{lead} {service} {text};" for text in told)]


def _window_texts(name: str, end: str) -> list[list[str]]:
    """A line for each service: a digit for each feature, and x for what could not be measured."""
    digits = [*map(str, range(UNSEEN)), "x"]
    pairs = [one + other for one in digits for other in digits]
    heading = f"\n{name}: errors, latency, cpu, memory, queue, rate"
    found: list[list[str]] = []
    for service in Service:
        for pair in range(len(FEATURES) // 2):
            lead = f"\n{service} " if pair == 0 else ""
            found.append([(heading if not found else "") + lead + text for text in pairs])
    found[-1] = [text + end for text in found[-1]]
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ")
