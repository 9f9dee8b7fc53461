"""How other tools reach a lab or an environment. Each module is for one tool. Only `cli` imports these modules."""

if __name__ != "mirr.interfaces":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.interfaces")
