"""The server's side: sessions, each with one episode at a time, and their protection."""
