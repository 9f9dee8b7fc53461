"""What a release changes: the version, and for each service its tables and how its rows are read."""
