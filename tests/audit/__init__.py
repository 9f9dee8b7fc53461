"""The leak audit. It checks everything that an agent can read. Only symptoms may show the fault."""
