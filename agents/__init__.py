"""Everything that decides: policies that see observations and give actions."""
