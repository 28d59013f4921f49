"""Random faults, cancellations and clients, for as long as one likes: ``python -m tests.explore [messages]``."""
