"""Statistics as pure functions over numbers, each with its source.

Not for anything that knows what a benchmark is: ``comparison`` brings the two together.
"""
