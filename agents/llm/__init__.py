"""An agent that asks a language model behind an OpenAI-compatible endpoint what to do."""
