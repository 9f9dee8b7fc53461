"""One request to an OpenAI-compatible endpoint, with the package `openai`, and how it can fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mirr.agents.llm.settings import BadSettings, Endpoint
from mirr.env.quoting import quoted

MOST_BYTES: Final = 4_000_000
"""No answer to one question is longer than this."""

Body = dict[str, Any]
"""The fields of a request."""

Send = Callable[[Body, float], bytes]
"""Sends a request and returns the answer, within so many seconds. Raises Refused, Late or Unreachable."""


@dataclass
class Refused(Exception):
    """The endpoint answered with an error."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)  # with small letters

    def __str__(self) -> str:
        return f"HTTP {self.status}: {quoted(self.text)}"


class Late(Exception):
    """There was no whole answer in time."""


class Unreachable(Exception):
    """The endpoint could not be reached, or the connection broke."""


def open_endpoint(endpoint: Endpoint, now: Callable[[], float] = time.monotonic) -> Send:
    """How to send requests to `endpoint`. Raises BadSettings if the package `openai` is not installed."""
    try:
        import openai
    except ImportError as error:
        raise BadSettings("the policy llm needs the package openai; next: pip install 'mirr-lab[llm-agent]'") from error
    # This project retries by itself, because each retry takes from the time of the episode.
    client: Any = openai.OpenAI(base_url=endpoint.base_url, api_key=endpoint.key, max_retries=0)

    def send(body: Body, timeout_s: float) -> bytes:
        deadline_s = now() + timeout_s
        try:
            asked = client.chat.completions.with_streaming_response.create(**body, timeout=timeout_s)
            with asked as answer:
                return _read(answer, deadline_s, now)
        except openai.APITimeoutError as error:
            raise Late(f"no answer within {timeout_s:.1f} s") from error
        except openai.APIStatusError as error:
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            raise Refused(error.status_code, _text_of(error), headers) from error
        except (Late, Unreachable):
            raise
        except Exception as error:  # a broken connection has an error of a package below openai, httpx or httpx2
            kind = type(error).__name__
            late = "Timeout" in kind or now() >= deadline_s
            raise (Late if late else Unreachable)(f"{kind}: {quoted(str(error))}") from error

    return send


def _read(answer: Any, deadline_s: float, now: Callable[[], float]) -> bytes:
    """The whole answer. A server that sends a byte now and then is as late as one that sends none."""
    read = bytearray()
    for chunk in answer.iter_bytes():
        read += chunk
        if now() > deadline_s:
            raise Late(f"only {len(read)} bytes came in time")
        if len(read) > MOST_BYTES:
            raise Unreachable(f"the answer has more than {MOST_BYTES} bytes")
    return bytes(read)


def _text_of(error: Any) -> str:
    """What the endpoint says about the error."""
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message", body))
    return str(body or error.message)
