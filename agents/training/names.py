"""The models that can be trained. The command line reads this, so it needs no PyTorch."""

from __future__ import annotations

from enum import StrEnum


class ModelName(StrEnum):
    """The models that can be trained."""

    SMALL = "small"  # a few layers, from nothing
    SMOLLM2 = "smollm2"  # an adapter for a pretrained model of 135M parameters


class DeviceName(StrEnum):
    """Where a network learns."""

    AUTO = "auto"  # a GPU if there is one
    CPU = "cpu"
    CUDA = "cuda"


PPO_NEEDS: tuple[str, ...] = ("torch", "matplotlib")
"""The packages that `mirr train` needs, of the extra `train`."""

NEEDS: dict[ModelName, tuple[str, ...]] = {
    ModelName.SMALL: ("torch", "matplotlib"),
    ModelName.SMOLLM2: ("torch", "matplotlib", "transformers", "gguf", "peft"),
}
"""The packages that each model needs to learn."""

EXTRA: dict[ModelName, str] = {ModelName.SMALL: "train", ModelName.SMOLLM2: "llm"}
"""The extra that has them."""
