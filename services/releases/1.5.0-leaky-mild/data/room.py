"""How much room the recorders of a service take."""

ROOM_BYTES_PER_S = 0.015 * (192 << 20)  # for the requests of an ordinary second
CARRIED_S = 2.0  # seconds of ordinary requests that each process writes to the volume
