"""What each service is planned for."""

REQUESTS_PER_S = {"gateway": 38.0, "auth": 19.0, "inventory": 30.4, "orders": 11.4, "payments": 11.4}
"""The requests of an ordinary second."""
