"""Sphinx configuration."""

from importlib.metadata import version as version_of

project = "insim_async"
author = "The insim_async authors"
copyright = "The insim_async authors"  # noqa: A001 - Sphinx reads it under this name
version = release = version_of("insim_async")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "insim_async"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_class_signature = "separated"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False

# Names of other projects are not looked up: the documentation builds without a network.
nitpick_ignore_regex = [
    ("py:.*", r"(?!insim_async\b).*"),
    ("py:.*", r"insim_async\.campaigns\._kept\.M"),  # a type variable
]
