"""The small transformer for PyTorch: the same network as `agents/language_model/network.py`, so that it can learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirr.agents.language_model.network import SMALLEST_VARIANCE, Floats, Size, weight_shapes
from mirr.agents.language_model.policy import load_checkpoint
from mirr.agents.language_model.words import SPOT_COUNT, SPOTS
from mirr.agents.weights import SIZE_KEY, BadCheckpoint, save_weights

SPREAD = 0.02  # standard deviation of the first weights, as in GPT-2


class SmallModel(nn.Module):
    """A transformer of a few layers, from nothing."""

    _spots: Tensor

    def __init__(self, size: Size, seed: int = 0) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("_spots", torch.tensor(SPOTS), persistent=False)
        dice = torch.Generator().manual_seed(seed)
        self._weights = nn.ParameterDict(
            {_key(name): nn.Parameter(_first(name, shape, dice)) for name, shape in weight_shapes(size).items()}
        )

    def forward(self, words: Tensor) -> Tensor:  # (n, actions)
        """The logits of all actions after each prompt, (n, LENGTH)."""
        of = {_name(key): value for key, value in self._weights.items()}
        read = functional.embedding(words, of["words"])
        x = torch.zeros(len(words), SPOT_COUNT, self.size.width, device=words.device)
        x = x.index_add(1, self._spots, read) + of["spots"]
        for layer in range(self.size.layers):
            at = f"layers.{layer}."
            x = x + self._attended(of, at, _normed(x, of[at + "attention_norm"]))
            thought = functional.linear(_normed(x, of[at + "thought_norm"]), of[at + "thought"])
            x = x + functional.linear(functional.gelu(thought, approximate="tanh"), of[at + "thought_out"])
        return functional.linear(_normed(x[:, -1], of["answer_norm"]), of["answer"])

    def _attended(self, of: dict[str, Tensor], at: str, x: Tensor) -> Tensor:
        n, length, width = x.shape
        heads = self.size.heads
        parts = functional.linear(x, of[at + "attention"]).view(n, length, 3, heads, width // heads)
        query, key, value = (parts[:, :, part].transpose(1, 2) for part in range(3))
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return functional.linear(seen.transpose(1, 2).reshape(n, length, width), of[at + "attention_out"])

    def weights(self) -> dict[str, Floats]:
        """The weights as numpy has them."""
        return {_name(key): value.detach().cpu().float().numpy() for key, value in self._weights.items()}

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write the checkpoint that the policy reads. Half precision: the numbers need no more."""
        half = {name: value.astype(np.float16) for name, value in self.weights().items()}
        save_weights(path, half, about)

    def load(self, path: Path) -> None:
        """Take the weights of a checkpoint of the same size. Raises BadCheckpoint."""
        checkpoint = load_checkpoint(path)
        if checkpoint.size != self.size:
            raise BadCheckpoint(f"{path} has another size, {checkpoint.size}; this model has {self.size}")
        found = checkpoint.weights
        with torch.no_grad():
            for key, value in self._weights.items():
                value.copy_(torch.from_numpy(found[_name(key)]))


def small_about(size: Size) -> dict[str, str]:
    """What a checkpoint says about its network."""
    return {SIZE_KEY: json.dumps(size.to_json())}


def _first(name: str, shape: tuple[int, ...], dice: torch.Generator) -> Tensor:
    return torch.ones(shape) if name.endswith("norm") else SPREAD * torch.randn(shape, generator=dice)


def _normed(x: Tensor, scale: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],), scale, SMALLEST_VARIANCE)


def _key(name: str) -> str:
    return name.replace(".", "/")  # PyTorch allows no dots in the names of parameters


def _name(key: str) -> str:
    return key.replace("/", ".")
