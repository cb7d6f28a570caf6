"""Verdicts, changes and gate decisions as pure functions over records."""
