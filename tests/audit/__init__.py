"""The leak audit. It checks everything that an agent can read, and reports where more than symptoms reveals the truth."""
