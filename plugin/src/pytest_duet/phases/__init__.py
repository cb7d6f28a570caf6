"""The phases of a session, each from files to files."""
