"""What an engine refused is told in its words, and not in those of its client."""

from __future__ import annotations

import pytest
from docker.errors import DockerException
from requests.exceptions import ConnectionError, ReadTimeout

from mirr.lab.refusals import in_words
from tests.fakes.lock_engine import refused


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            refused(409, "Cannot kill container 7f: it is\nnot running"),
            "the engine refused: Cannot kill container 7f: ",
        ),
        (refused(500, ""), "the engine refused: it gave no reason"),
        (
            ReadTimeout("HTTPConnectionPool(host='localhost', port=None): Read timed out."),
            "the engine did not answer in",
        ),
        (ConnectionError(("Connection aborted.", FileNotFoundError(2, "no"))), "the engine cannot be reached"),
        (DockerException("x" * 1_000), "x" * 280 + "..." + "x" * 20 + " (1000 characters)"),
        (DockerException(""), "DockerException"),
    ],
)
def test_a_refusal_is_a_part_of_a_sentence(error: DockerException, words: str) -> None:
    said = in_words(error)
    assert said.startswith(words)
    assert "\n" not in said
    assert not any(raw in said for raw in ("HTTPConnectionPool", "http+docker", "Client Error", "Errno"))
