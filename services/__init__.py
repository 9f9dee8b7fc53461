"""The system under test: five small services of a shop, each with its own data. It imports no other room."""

if __name__ != "services":  # in the images, the package has only this name; images are built from the installed copy
    raise ImportError(f"{__name__} runs only inside its image, as services")
