"""Checks that a comparison is sound before anything is timed."""
