"""The server's side: an episode a session, and what keeps it standing."""
