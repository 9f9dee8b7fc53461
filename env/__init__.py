"""The episode: vocabulary, worlds, reward and record. Pure: numpy is all it needs."""
