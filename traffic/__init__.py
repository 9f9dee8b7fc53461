"""The load generator: users of the shop, open-loop, and campaigns on a lease. Imports nothing of the rest."""

if __name__ != "traffic":  # the images know it by this name alone; an installed copy is what they are built from
    raise ImportError(f"{__name__} runs inside its image alone, as traffic")
