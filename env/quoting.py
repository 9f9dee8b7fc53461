"""What a caller gave, as an error message quotes it: as Python writes it, and never longer than a line."""

from __future__ import annotations

import reprlib

LONGEST = 80  # characters of one quoted value
_TAIL = 20
_MOST_BITS = 256  # of a number whose digits are shown. Python writes no number of more than 4300 digits
_DIGITS_A_BIT = 0.30103


class _Short(reprlib.Repr):
    """Quotes a few elements of a collection. Only Python's own types are looked into: others may do anything there."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 8
        self.maxlevel = 3

    def repr1(self, x: object, level: int) -> str:
        if type(x) in (dict, frozenset, int, list, set, tuple):
            return super().repr1(x, level)
        return self.repr_instance(x, level)

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() <= _MOST_BITS:
            return repr(x)
        return f"a {'negative ' if x < 0 else ''}number of about {int(x.bit_length() * _DIGITS_A_BIT) + 1} digits"


_SHORT = _Short()


def quoted(value: object) -> str:
    """`value` for a message. What is long is cut, and its length is named."""
    if isinstance(value, str):
        cut = f"... ({len(value)} characters)" if len(value) > LONGEST else ""
        return f"{value[: LONGEST - _TAIL]!r}{cut}" if cut else repr(value)
    return shortened(_SHORT.repr(value))


def shortened(text: str, most: int = LONGEST) -> str:
    """`text`, or its beginning and its end if it has more than `most` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most - _TAIL]}...{text[-_TAIL:]} ({len(text)} characters)"
