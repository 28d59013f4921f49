"""How fast the client is beside its peers.

Run it by ``python -m tests.bench [G1 G7 ...]``, or by ``nox -s bench``.
"""
