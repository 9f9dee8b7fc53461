"""What the engine refused, in words. docker-py's own text names addresses inside its client, and quotes objects."""

from __future__ import annotations

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException, Timeout

from mirr.env.quoting import shortened

MOST = 300  # characters of what the engine says


def in_words(error: DockerException | RequestException) -> str:
    """Why the engine did not do something, as a part of a sentence."""
    match error:
        case APIError():
            said = error.explanation or (error.response is not None and error.response.reason) or "it gave no reason"
            if isinstance(said, bytes):
                said = said.decode(errors="replace")
            return f"the engine refused: {shortened(' '.join(str(said).split()), MOST)}"
        case Timeout():
            return "the engine did not answer in time"
        case RequestException():
            return "the engine cannot be reached"
        case _:
            return shortened(" ".join(str(error).split()), MOST) or type(error).__name__


def is_being_removed(error: APIError) -> bool:
    """Whether the engine refused since it removes the container already: somebody else asked for the same."""
    return error.status_code == 409 and "already in progress" in str(error.explanation)
