"""The networks of PPO for PyTorch: the actor, which is the same as `agents/ppo/network.py`, and the critic."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from mirr.agents.ppo.network import ORDER, Size, weight_shapes
from mirr.agents.ppo.notes import OWN, SERVICES, SHARED, Floats
from mirr.agents.ppo.policy import load_checkpoint
from mirr.agents.weights import SIZE_KEY, BadCheckpoint, save_weights

FIRST_ANSWERS: Final = 0.01
"""The scale of the first weights that answer: in the beginning, all actions are nearly equally likely."""
_ANSWERS: Final = ("answer", "whole_own", "whole_together")


class Actor(nn.Module):
    """Decides. It reads the notes of an agent, and nothing else."""

    _order: Tensor

    def __init__(self, size: Size, seed: int = 0) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("_order", torch.tensor(ORDER), persistent=False)
        dice = torch.Generator().manual_seed(seed)
        self._weights = nn.ParameterDict(
            {name: nn.Parameter(_first(name, shape, dice)) for name, shape in weight_shapes(size).items()}
        )

    def forward(self, own: Tensor, shared: Tensor) -> Tensor:  # (n, actions)
        """The logits of all actions. `own` is (n, services, OWN), `shared` is (n, SHARED)."""
        w = self._weights
        whole = linear(shared, w["look_shared"], w["look_offset"])
        seen = relu(linear(own, w["look_own"]) + whole[:, None])
        together = relu(linear(seen.flatten(1), w["together"], w["together_offset"]))
        joined = linear(together, w["think_together"], w["think_offset"])
        thought = relu(linear(seen, w["think_own"]) + joined[:, None])
        each = linear(thought, w["answer"], w["answer_offset"])
        whole = linear(thought.mean(dim=1), w["whole_own"]) + linear(together, w["whole_together"], w["whole_offset"])
        return torch.cat([each.flatten(1), whole], dim=1)[:, self._order]

    def weights(self) -> dict[str, Floats]:
        """The weights as numpy has them."""
        return {name: value.detach().cpu().float().numpy() for name, value in self._weights.items()}

    def save(self, path: Path) -> None:
        """Write the checkpoint that the policy reads. Half precision: the numbers need no more."""
        half = {name: value.astype(np.float16) for name, value in self.weights().items()}
        save_weights(path, half, {SIZE_KEY: json.dumps(self.size.to_json())})

    def load(self, path: Path) -> None:
        """Take the weights of a checkpoint of the same size. Raises BadCheckpoint."""
        checkpoint = load_checkpoint(path)
        if checkpoint.size != self.size:
            raise BadCheckpoint(f"{path} has another size, {checkpoint.size}; this network has {self.size}")
        with torch.no_grad():
            for name, value in self._weights.items():
                value.copy_(torch.from_numpy(checkpoint.weights[name]))


class Critic(nn.Module):
    """Says how much reward is still to come. It exists only in training, so it may also see the truth."""

    def __init__(self, truths: int, width: int = 192, seed: int = 0) -> None:
        super().__init__()
        dice = torch.Generator().manual_seed(seed)
        layers = (SERVICES * OWN + SHARED + truths, width, 128, 1)
        self._layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(layers)])
        for layer in self._layers:
            assert isinstance(layer, nn.Linear)
            nn.init.orthogonal_(layer.weight, 1.0 if layer.out_features == 1 else math.sqrt(2.0), generator=dice)
            nn.init.zeros_(layer.bias)

    def forward(self, own: Tensor, shared: Tensor, truth: Tensor) -> Tensor:  # (n,)
        """`truth` is (n, truths)."""
        x = torch.cat([own.flatten(1), shared, truth], dim=1)
        for layer in self._layers[:-1]:
            x = relu(layer(x))
        found: Tensor = self._layers[-1](x)[:, 0]
        return found


def _first(name: str, shape: tuple[int, ...], dice: torch.Generator) -> Tensor:
    if name.endswith("offset"):
        return torch.zeros(shape)
    gain = FIRST_ANSWERS if name in _ANSWERS else math.sqrt(2.0)
    return nn.init.orthogonal_(torch.empty(shape), gain, generator=dice)
