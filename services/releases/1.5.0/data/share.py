"""How much of a table a boot converts."""

SHARE = 0.5  # of what is left
