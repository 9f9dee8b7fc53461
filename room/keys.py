"""The secrets of a room: join codes that can be read aloud, and tokens that cannot be guessed."""

from __future__ import annotations

import hashlib
import hmac
import secrets

LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""The letters of a join code: none that look alike."""

CODE_LENGTH = 8  # 32 ** 8 codes, about 10 ** 12


def new_code() -> str:
    """A join code, as in `K7QD-2MXA`."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def read_code(text: str) -> str:
    """A join code as a person may type it, written as `new_code` writes it."""
    letters = "".join(each for each in text.upper() if each in LETTERS)[:CODE_LENGTH]
    return f"{letters[:4]}-{letters[4:]}"


def new_token() -> str:
    """A token of 256 bits."""
    return secrets.token_urlsafe(32)


def key_of(token: str) -> str:
    """What is stored in place of a token. It does not lead back to it."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two keys are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
