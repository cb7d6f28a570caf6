"""From saved rounds to verdicts, changes and decisions. Pure functions over records."""
