"""What people look at, in a real browser: ``nox -s browser``.

It is no part of the tests: their files are called ``check_...``, and pytest does not look into
them by itself.
"""
