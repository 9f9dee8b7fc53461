"""The incident room."""
