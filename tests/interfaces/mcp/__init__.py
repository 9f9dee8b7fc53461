"""Tests of the MCP server, by clients that talk to it."""
