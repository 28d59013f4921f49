"""How fast the client is beside its peers: ``python -m tests.bench [G1 G7 ...]``, or ``nox -s bench``."""
