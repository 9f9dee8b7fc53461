"""The load generator: users of the shop, open-loop, and campaigns on a lease. Imports nothing of the rest."""
