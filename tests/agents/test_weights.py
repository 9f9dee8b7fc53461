"""Files of weights: what was written is read again, and a damaged file is named with what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirr.agents.language_model.network import Floats, Size
from mirr.agents.language_model.policy import load_checkpoint
from mirr.agents.weights import SIZE_KEY, BadCheckpoint, load_weights, save_weights
from tests.agents.language_model.briefings import TINY, random_weights

NEXT = "; next: mirr train-llm --out DIR writes a new one"


def saved(path: Path, weights: dict[str, Floats], size: Size = TINY) -> Path:
    save_weights(path, weights, {SIZE_KEY: json.dumps(size.to_json())})
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    weights = random_weights()
    found, about = load_weights(saved(tmp_path / "a.safetensors", weights), "mirr train-llm")
    assert about == {SIZE_KEY: '{"width": 16, "heads": 2, "layers": 2}'}
    assert found.keys() == weights.keys()
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_half_precision_becomes_single_precision(tmp_path: Path) -> None:
    save_weights(tmp_path / "a", {"x": np.array([0.5, 1.5], dtype=np.float16)}, {})
    found, _ = load_weights(tmp_path / "a", "mirr train-llm")
    assert (str(found["x"].dtype), found["x"].tolist()) == ("float32", [0.5, 1.5])


def test_the_file_is_one_of_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="the package safetensors is not installed")
    weights = random_weights()
    found = safetensors.load_file(saved(tmp_path / "a.safetensors", weights))
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def cut(content: bytes) -> bytes:
    return content[:-10]


def emptied(content: bytes) -> bytes:
    return b""


def without_a_brace(content: bytes) -> bytes:
    return content[:8] + b"x" + content[9:]


def with_nan(content: bytes) -> bytes:
    return content[:-4] + np.array([np.nan], dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "is damaged: it ends 10 bytes too early"),
        (emptied, "is no file of weights: its header does not fit into it"),
        (without_a_brace, "is damaged: Expecting value: line 1 column 1 (char 0)"),
        (with_nan, "is damaged: it has numbers that are not finite"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = saved(tmp_path / "a.safetensors", random_weights())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(path)
    assert str(refused.value) == f"{path} {message}{NEXT}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(tmp_path / "none")
    assert str(refused.value) == f"{tmp_path / 'none'} cannot be read: No such file or directory{NEXT}"


def test_weights_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", random_weights() | {"answer": np.zeros((42, 16), dtype=np.float32)})
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(path)
    assert str(refused.value) == (
        f"{path} does not fit this version: answer has shape (42, 16), expected (41, 16); "
        "next: mirr train-llm --out DIR"
    )


def test_a_checkpoint_that_does_not_say_its_size_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "a", random_weights(), {})
    with pytest.raises(BadCheckpoint) as refused:
        load_checkpoint(tmp_path / "a")
    assert str(refused.value) == (
        f"{tmp_path / 'a'} does not say how large its network is; next: mirr train-llm --out DIR"
    )
