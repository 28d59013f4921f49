"""The network's ways to fail, each against a server that counts what it processed.

The server is a process of its own.
"""

import pytest

pytest.register_assert_rewrite(f"{__name__}.bench")
