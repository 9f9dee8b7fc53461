"""The server's side: sessions, one episode at a time each, and their protection."""
