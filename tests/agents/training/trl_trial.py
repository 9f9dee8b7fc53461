"""A training with TRL that is over in seconds: a tiny model from nothing, a tokenizer made here, nothing downloaded.

This needs trl, transformers and datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
import trl
from datasets import Dataset
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from mirr.agents.training.trl_environment import IncidentEnvironment, prompts, reward

SPECIAL: Final = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
CALL: Final = '<tool_call>\n{"name": "check_logs", "arguments": {"service": "auth"}}\n</tool_call><|im_end|>'
TEMPLATE: Final = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"


class CallsATool(Qwen3ForCausalLM):  # type: ignore[misc]  # transformers is not looked into
    """Says the same call of a tool in every turn: a model from nothing would never write one."""

    call: torch.Tensor

    def generate(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        """The prompts, each with the call after it."""
        return torch.cat([input_ids, self.call.expand(len(input_ids), -1)], dim=1)


class Watched(IncidentEnvironment):
    """Counts the calls of its tools."""

    def __init__(self) -> None:
        super().__init__()
        WATCHED.append(self)
        self._calls = 0

    def _call(self, name: str, **arguments: str) -> str:
        self._calls += 1
        return super()._call(name, **arguments)


WATCHED: Final[list[Watched]] = []


def trained(folder: Path, steps: int) -> tuple[int, int, list[float]]:
    """Train for some steps. Returns the steps, how often a tool was called, and the mean reward of each step."""
    rows = prompts(range(1_000_000, 1_000_004))
    tokenizer = _tokenizer([message["content"] for message in rows[0]["prompt"]])
    torch.manual_seed(0)
    model = CallsATool(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=8192,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.call = torch.tensor(tokenizer.encode(CALL, add_special_tokens=False))[None]
    trainer = trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        args=trl.GRPOConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=2048,
            max_tool_calling_iterations=2,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_list(rows),
        environment_factory=Watched,
        reward_funcs=reward,
    )
    trainer.train()
    rewards = [float(line["reward"]) for line in trainer.state.log_history if "reward" in line]
    return int(trainer.state.global_step), sum(each._calls for each in WATCHED), rewards


def _tokenizer(texts: list[str]) -> Any:
    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator(texts, vocab_size=600, show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=learned._tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL[1:], "eos_token": SPECIAL[2]})
    tokenizer.add_special_tokens({"pad_token": SPECIAL[0]})
    tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return tokenizer
