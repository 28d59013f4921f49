"""The network's ways to fail, each against a server in a process of its own that counts what it processed."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.bench")
