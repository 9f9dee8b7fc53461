"""Scenario packs: realistic incidents, in files that a trainer can write."""

if __name__ != "mirr.scenarios":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.scenarios")
