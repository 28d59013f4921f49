"""Long attacks on what must survive them: ``python -m tests.chaos webhooks [kills]``.

They print a row for each attack, and end with 1 if a promise was broken.
"""
