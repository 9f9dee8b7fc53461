"""An agent in another process, asked over HTTP: each observation is posted as JSON, and the answer has the action."""

from __future__ import annotations

import json
import math
import os
import secrets
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import numpy as np

from mirr.env.environment import Observation
from mirr.env.quoting import quoted
from mirr.env.rendering import render
from mirr.env.vocabulary import UnknownName, action_text

VERSION: Final = 1
HOSTS_VARIABLE: Final = "MIRR_AGENT_HOSTS"
"""The environment variable with the hosts, separated by commas, that an agent may be on besides this machine."""

TIMEOUT_S: Final = 60.0  # of one read; whoever asks has a deadline of their own
LARGEST_ANSWER_BYTES: Final = 64 * 1024


class BadAnswer(Exception):
    """The agent's server answered, and the answer has no action. The message says what it has."""


def is_address(name: str) -> bool:
    """Whether a name of an agent is an address."""
    return name.startswith(("http://", "https://"))


def checked_address(address: str) -> SplitResult:
    """The address, if an agent may be there: on this machine, or on a host that the user allows. Raises UnknownName."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port  # a port that is no number raises
    except ValueError as error:
        raise UnknownName(
            f"{quoted(address)} is no address of an agent ({error}); as in http://127.0.0.1:PORT/act"
        ) from error
    if not host:
        raise UnknownName(f"{quoted(address)} names no host; as in http://127.0.0.1:PORT/act")
    allowed = [each.strip() for each in os.environ.get(HOSTS_VARIABLE, "").split(",")]
    if not _is_this_machine(host) and host not in allowed:
        raise UnknownName(
            f"{quoted(address)} is not on this machine, and would see everything that an agent sees; if it may: "
            f"{HOSTS_VARIABLE}={host}"
        )
    return parts


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class HttpAgent:
    """Asks the server at an address. It goes there directly: proxies are for the world outside."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._parts = checked_address(address)
        self._episode = ""
        self._begin()

    def _begin(self) -> None:
        # Several episodes may be asked about at once, in several processes. The name says nothing about its episode.
        self._episode = secrets.token_hex(8)

    def reset(self, rng: np.random.Generator) -> None:
        """A new episode begins."""
        self._begin()

    def act(self, observation: Observation) -> object:
        """The action in the answer, as text or as a number. Raises OSError, http.client.HTTPException or BadAnswer."""
        return action_in(self._post(json.dumps(question(observation, self._episode)).encode()))

    def _post(self, body: bytes) -> bytes:
        parts = self._parts
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read(LARGEST_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if response.status != 200:
            raise BadAnswer(f"{self._address} answered {response.status} {response.reason}")
        return content


def question(observation: Observation, episode: str) -> dict[str, Any]:
    """An observation as it is posted."""
    features = observation.features.tolist()
    return {
        "version": VERSION,
        "episode": episode,
        "step": observation.step,
        "steps_left": observation.steps_left,
        "features": [[None if math.isnan(value) else value for value in row] for row in features],
        "text": render(observation),
        "last_action": None if observation.last_action is None else action_text(observation.last_action),
        "result": observation.last_result,
        "reason": observation.last_reason,
        "logs_of": observation.logs_of,
        "logs": [
            {"age_s": line.age_s, "level": line.level, "event": line.event, "text": line.text}
            for line in observation.logs
        ],
    }


def action_in(content: bytes) -> object:
    """What an answer says about the action. Raises BadAnswer."""
    if len(content) > LARGEST_ANSWER_BYTES:
        raise BadAnswer(f"the answer has more than {LARGEST_ANSWER_BYTES} bytes")
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"the answer is not JSON: {quoted(content.decode(errors='replace'))}") from error
    if not isinstance(answer, dict) or "action" not in answer:
        raise BadAnswer(f"the answer has no action: {quoted(answer)}")
    return answer["action"]
