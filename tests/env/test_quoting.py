"""What callers gave is quoted in messages, and never at full length if it is long."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pytest

from mirr.env.checks import BadConfig
from mirr.env.quoting import LONGEST, quoted, shortened
from mirr.env.scenario import BadSeed, EpisodeConfig, checked_seed
from mirr.env.vocabulary import Fault, UnknownName


class Hostile:
    """A value that cannot be shown."""

    def __repr__(self) -> NoReturn:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("auth", "'auth'"),
        (True, "True"),
        (-7, "-7"),
        (10**70, "1" + "0" * 70),
        (10**10_000, "a number of about 10001 digits"),
        (-(10**10_000), "a negative number of about 10001 digits"),
        ([10**9_999], "[a number of about 10000 digits]"),
        (["a", 1.5, None], "['a', 1.5, None]"),
        ("x" * 100_000, f"'{'x' * 60}'... (100000 characters)"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        (np.arange(3), "array([0, 1, 2])"),
    ],
    ids=lambda _: "",  # pytest cannot write such numbers
)
def test_a_value_is_quoted_as_python_writes_it_and_not_at_any_length(value: object, text: str) -> None:
    assert quoted(value) == text


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    assert quoted(Hostile()).startswith("<Hostile instance at ")


def test_the_beginning_and_the_end_of_a_long_text_are_kept() -> None:
    assert shortened("a" * 60 + "b" * 60) == f"{'a' * 60}...{'b' * 20} (120 characters)"
    assert shortened("a" * LONGEST) == "a" * LONGEST


def test_no_error_shows_an_enormous_value_whole() -> None:
    with pytest.raises(BadSeed, match=r" from 0 up; got a negative number of about 10001 digits$"):
        checked_seed(-(10**10_000))
    with pytest.raises(BadConfig, match=r" from 1 to 100000; got a number of about 5001 digits$"):
        EpisodeConfig(max_steps=10**5_000)
    with pytest.raises(UnknownName, match=r"^unknown service 'x{60}'\.\.\. \(9999 characters\); one of: gateway, "):
        Fault.parse(f"crashed:{'x' * 9_999}")
