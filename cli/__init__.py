"""The command line `mirr`, and what its commands print."""

if __name__ != "mirr.cli":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.cli")
