"""What a session saw, and how it is saved and read again."""
