"""The load generator: open-loop users of the shop, and campaigns on a lease. It imports no other room."""

if __name__ != "traffic":  # in the image, the package has only this name; images are built from the installed copy
    raise ImportError(f"{__name__} runs only inside its image, as traffic")
