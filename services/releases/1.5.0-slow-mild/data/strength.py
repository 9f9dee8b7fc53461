"""How strong the seals of the trail are."""

STRENGTH = 12.0  # the work of a seal, in ordinary requests of the service
