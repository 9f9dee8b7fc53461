"""The incident room: teams play an incident in a browser, a trainer leads them, everybody sees the scoreboard."""

if __name__ != "mirr.room":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.room")
