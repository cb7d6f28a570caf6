"""Workers answer requests: Python in this process (``direct``), any program (``process``), Python as a program (``serve``).

Not for deciding what to ask: ``measure`` does.
"""
