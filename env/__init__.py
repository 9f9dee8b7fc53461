"""The episode: vocabulary, worlds, reward and record. Pure: numpy is all it needs."""

if __name__ != "mirr.env":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.env")
