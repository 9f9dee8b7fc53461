"""Training of language models on the simulator: imitation of a policy, then GRPO. It needs PyTorch."""
