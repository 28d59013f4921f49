"""The vendor's own clients and receivers against the sandbox: an oracle that nobody here wrote."""
