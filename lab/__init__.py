"""The lab itself: finds the engine, builds the images, brings the containers up and takes them down."""

if __name__ != "mirr.lab":  # in a checkout, this folder could also be found under its bare name
    raise ImportError(f"{__name__} is a part of mirr: import mirr.lab")
