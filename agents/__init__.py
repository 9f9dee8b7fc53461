"""Everything that decides: policies that see observations and give actions."""

if __name__ != "mirr.agents":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.agents")
