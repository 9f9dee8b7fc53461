"""A model that learns: where its numbers are, and how it chooses. Both sizes of model are alike here."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirr.agents.language_model.network import Floats
from mirr.agents.language_model.words import Whole
from mirr.agents.training.episodes import Choose, Decisions

READ_AT_ONCE = 4096  # prompts: more of them may not fit into a GPU beside the weights


class Model(Protocol):
    """What training needs of a model."""

    def __call__(self, words: Tensor) -> Tensor:
        """The logits of all actions after each prompt."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """All weights, those that stay as they are too."""

    def train(self, mode: bool = True) -> object:
        """Switch dropout on or off, if there is any."""

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write what was learned."""

    def load(self, path: Path) -> None:
        """Read what was learned."""


def found_device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """How a provenance names it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Decisions as tensors on the model's device."""

    words: Tensor  # (m, LENGTH)
    allowed: Tensor  # (m, actions)
    actions: Tensor  # (m,)

    def __getitem__(self, places: Tensor) -> Rows:
        return Rows(words=self.words[places], allowed=self.allowed[places], actions=self.actions[places])


class Learner:
    """A model on its device."""

    def __init__(self, model: Model, device: torch.device, seed: int) -> None:
        self.model = model
        self.device = device
        self._dice = torch.Generator(device=device).manual_seed(seed)

    def learned(self) -> list[torch.nn.Parameter]:
        """The weights that learn."""
        return [each for each in self.model.parameters() if each.requires_grad]

    def frozen_copy(self) -> Learner:
        """The model as it is now. It learns no more."""
        model = copy.deepcopy(self.model)
        for each in model.parameters():
            each.requires_grad_(False)
        return Learner(model, self.device, seed=0)

    def rows(self, decisions: Decisions) -> Rows:
        """Decisions as tensors."""
        return Rows(
            words=torch.from_numpy(decisions.words).long().to(self.device),
            allowed=torch.from_numpy(decisions.allowed).to(self.device),
            actions=torch.from_numpy(decisions.actions).to(self.device),
        )

    def shuffled(self, count: int, at_once: int) -> Iterator[Tensor]:
        """All places from 0 to count - 1 in random order, some at once."""
        yield from torch.split(torch.randperm(count, generator=self._dice, device=self.device), at_once)

    def log_shares(self, words: Tensor, allowed: Tensor) -> Tensor:  # (n, actions)
        """The logarithm of each action's probability; what is not allowed has none."""
        logits = self.model(words).float()
        return torch.log_softmax(logits.masked_fill(~allowed, -torch.inf), dim=-1)

    @torch.no_grad()
    def all_log_shares(self, rows: Rows) -> Tensor:  # (m, actions)
        """The same for many rows, without learning."""
        pairs = zip(torch.split(rows.words, READ_AT_ONCE), torch.split(rows.allowed, READ_AT_ONCE), strict=True)
        return torch.cat([self.log_shares(words, allowed) for words, allowed in pairs])

    @torch.no_grad()
    def scores(self, words: Whole) -> Floats:  # (n, actions)
        """As `LanguageModelPolicy` asks for them."""
        found: Floats = self.model(torch.from_numpy(words).to(self.device)).float().cpu().numpy()
        return found

    def best(self) -> Choose:
        """Chooses the action with the highest probability."""

        def choose(here: Whole, words: Whole, allowed: NDArray[np.bool_]) -> Whole:
            return self._read(words, allowed).argmax(dim=-1).cpu().numpy()

        return choose

    def sampled(self) -> Choose:
        """Draws an action by its probability."""

        def choose(here: Whole, words: Whole, allowed: NDArray[np.bool_]) -> Whole:
            shares = self._read(words, allowed).exp()
            return torch.multinomial(shares, 1, generator=self._dice)[:, 0].cpu().numpy()

        return choose

    def _read(self, words: Whole, allowed: NDArray[np.bool_]) -> Tensor:
        nothing = np.zeros(len(words), dtype=np.int64)
        return self.all_log_shares(
            self.rows(Decisions(words=words.astype(np.int16), allowed=allowed, actions=nothing, episode=nothing))
        )
