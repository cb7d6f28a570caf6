"""The records of what a session measured, and how they are saved and read."""
