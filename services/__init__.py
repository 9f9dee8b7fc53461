"""The system under test: five small services of a shop, each with its own data. It imports nothing of the rest."""

if __name__ != "services":  # in the images this is its only name; the installed copy is only there to build images from
    raise ImportError(f"{__name__} runs only inside its image, as services")
