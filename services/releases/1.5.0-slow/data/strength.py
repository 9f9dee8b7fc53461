"""How strong the seals of the trail are."""

STRENGTH = 14.0  # the work of a seal, in ordinary requests of the service
