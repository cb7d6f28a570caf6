"""A run as rows and as text: everything shown comes from records and ``analysis``; nothing is computed or decided here."""
