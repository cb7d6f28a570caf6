"""What a run says, as rows and as text.

Not for deciding anything: every number and every word comes from records.
"""
