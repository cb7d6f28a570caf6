"""Measure the members of a validated group: when each runs, what warms it up, when to stop, what is observed afterwards."""
