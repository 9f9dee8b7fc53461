"""The composed containers as a World, and how far they are from the simulator."""

if __name__ != "mirr.bridge":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.bridge")
