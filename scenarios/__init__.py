"""Scenario packs: incidents as they really come, in files that a trainer can write."""
