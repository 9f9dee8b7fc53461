"""Tests of the results: cells, figures, tables, records."""
