"""The system under test: five small services of a shop, each with its own data. Imports nothing of the rest."""
