"""An observation as a picture: a table with bars, in a small built-in font."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from mirr.env.environment import Observation
from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.rendering import COLUMNS, cell
from mirr.env.vocabulary import Feature, Service, action_text

WIDTH = 560
HEIGHT = 176
_INK = (226, 230, 236)
_FAINT = (128, 138, 150)
_BACK = (18, 22, 28)
_ALARM = (214, 84, 72)
_LINE = 20  # pixels from one row to the next
_SCALE = 2
_TALL = 5  # rows of a letter; a letter is three dots wide

# Each letter in five rows of three bits, as octal digits from the top.
_LETTERS = {
    "a": "25755", "b": "65656", "c": "34443", "d": "65556", "e": "74647", "f": "74644", "g": "34553", "h": "55755",
    "i": "72227", "j": "11152", "k": "55655", "l": "44447", "m": "57755", "n": "65555", "o": "25552", "p": "65644",
    "q": "25573", "r": "65655", "s": "34216", "t": "72222", "u": "55557", "v": "55552", "w": "55775", "x": "55255",
    "y": "55222", "z": "71247", "0": "25552", "1": "26227", "2": "61247", "3": "61216", "4": "55711", "5": "74616",
    "6": "34757", "7": "71222", "8": "75757", "9": "75716", ".": "00002", ",": "00024", ":": "02020", "-": "00700",
    "_": "00007", "/": "11244", "%": "51245", "(": "24442", ")": "21112", "'": "22000",
}  # fmt: skip


@functools.cache
def _glyph(letter: str) -> NDArray[np.bool_]:
    """A letter's dots, each `_SCALE` pixels wide. A character that the font lacks is blank."""
    rows = _LETTERS.get(letter.lower(), "00000")
    dots = np.array([[bool(int(row) & bit) for bit in (4, 2, 1, 0)] for row in rows])
    return np.kron(dots, np.ones((_SCALE, _SCALE), dtype=bool)).astype(bool)


def _write(image: NDArray[np.uint8], text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    wide = 4 * _SCALE
    for place, letter in enumerate(text):
        left = x + place * wide
        if left + wide > image.shape[1]:
            return
        image[y : y + _TALL * _SCALE, left : left + wide][_glyph(letter)] = colour


def picture(observation: Observation) -> NDArray[np.uint8]:  # (height, width, 3)
    """A table of the services. A cell is red if it could not be scraped or its share is high."""
    image = np.empty((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:] = _BACK
    edges = [100]
    for _, width, _ in COLUMNS.values():
        edges.append(edges[-1] + int(width * 4 * _SCALE))
    for (heading, _, _), right in zip(COLUMNS.values(), edges[1:], strict=True):
        _write(image, heading, right - 4 * _SCALE * len(heading), 6, _FAINT)
    for row, service in enumerate(Service):
        top = (row + 1) * _LINE + 6
        _write(image, str(service), 6, top, _INK)
        for feature, left, right in zip(Feature, edges[:-1], edges[1:], strict=True):
            value = float(observation.features[row, FEATURE_COLUMN[feature]])
            _bar(image, feature, value, left + 4, right, top)
            text = cell(feature, value)
            _write(image, text, right - 4 * _SCALE * len(text), top, _INK)
    action = "none yet" if observation.last_action is None else action_text(observation.last_action)
    _write(image, f"last: {action}", 6, 6 * _LINE + 12, _INK)
    _write(image, observation.last_result, 6, 7 * _LINE + 8, _FAINT)
    _write(image, f"step {observation.step}, {observation.steps_left} left", 380, 6 * _LINE + 12, _FAINT)
    return image


_FULL = {
    Feature.ERROR_RATIO: 1.0,
    Feature.LATENCY_P95_S: 1.0,
    Feature.CPU_SHARE: 1.0,
    Feature.MEMORY_SHARE: 1.0,
}
"""The value at which a bar fills its cell. Other features have no bar."""


def _bar(image: NDArray[np.uint8], feature: Feature, value: float, left: int, right: int, top: int) -> None:
    if feature not in _FULL or value != value:
        return
    share = min(1.0, value / _FULL[feature])
    image[top - 4 : top + 14, left : left + int(share * (right - left))] = [int(part * 0.45) for part in _ALARM]
