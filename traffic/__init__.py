"""The load generator: open-loop users of the shop, and campaigns on a lease. It imports nothing of the rest."""

if __name__ != "traffic":  # in the image this is its only name; the installed copy is only there to build images from
    raise ImportError(f"{__name__} runs only inside its image, as traffic")
