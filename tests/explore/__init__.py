"""Random faults, cancellations and clients, for as long as one likes.

Run it by ``python -m tests.explore [messages]``.
"""
