"""The system under test: five small services of a shop, each with its own data. Imports nothing of the rest."""

if __name__ != "services":  # the images know it by this name alone; an installed copy is what they are built from
    raise ImportError(f"{__name__} runs inside its image alone, as services")
