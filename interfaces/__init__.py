"""How others reach a lab or an environment: each module speaks one tool's language. Nothing imports this floor."""

if __name__ != "mirr.interfaces":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.interfaces")
