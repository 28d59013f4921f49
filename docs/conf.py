"""Sphinx configuration."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("_extensions")))

project = "insim_async"
author = "The insim_async authors"
copyright = "The insim_async authors"  # noqa: A001 - Sphinx reads it under this name
version = release = version_of("insim_async")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "figures",
    "reference",
    "search",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "insim_async"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["brand.css"]
html_js_files = ["reach.js"]
html_show_copyright = False
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_logo": "logo-light.svg",
    "dark_logo": "logo-dark.svg",
    "light_css_variables": {
        "color-brand-primary": "#0B6B62",
        "color-brand-content": "#0B6B62",
        "color-brand-visited": "#56635E",
        "color-foreground-primary": "#16201D",
        "color-foreground-secondary": "#56635E",
        "color-foreground-muted": "#56635E",
        "color-background-secondary": "#F4F6F5",
        "color-background-hover": "#E0F0EC",
        "color-background-border": "#DDE3E0",
        "color-inline-code-background": "#EDF1EF",
        "color-code-background": "#F4F6F5",
        "color-sidebar-link-text--top-level": "#16201D",
        "color-api-name": "#0B6B62",
        "color-api-pre-name": "#56635E",
        "color-api-keyword": "#56635E",
        "color-api-overall": "#16201D",
        "color-api-background": "#F4F6F5",
        "color-highlight-on-target": "#E0F0EC",
        "color-highlighted-background": "#FBF0DC",
        "color-table-header-background": "transparent",
        "color-missed": "#8A5200",
    },
    "dark_css_variables": {
        "color-brand-primary": "#5CC9B7",
        "color-brand-content": "#5CC9B7",
        "color-brand-visited": "#9AA9A4",
        "color-foreground-primary": "#E4EBE8",
        "color-foreground-secondary": "#9AA9A4",
        "color-foreground-muted": "#9AA9A4",
        "color-background-primary": "#141A19",
        "color-background-secondary": "#0E1312",
        "color-background-hover": "#17332F",
        "color-background-border": "#2A3431",
        "color-inline-code-background": "#202927",
        "color-code-background": "#202927",
        "color-sidebar-link-text--top-level": "#E4EBE8",
        "color-api-name": "#5CC9B7",
        "color-api-pre-name": "#9AA9A4",
        "color-api-keyword": "#9AA9A4",
        "color-api-overall": "#E4EBE8",
        "color-api-background": "#202927",
        "color-highlight-on-target": "#17332F",
        "color-highlighted-background": "#332813",
        "color-table-header-background": "transparent",
        "color-missed": "#E5B567",
    },
}

# What a block prints is there to be read, not to be copied.
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
napoleon_attr_annotations = True
python_maximum_signature_line_length = 70
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# Names of other projects are not looked up: the documentation builds without a network.
nitpick_ignore_regex = [
    ("py:.*", r"(?!insim_async\b).*"),
    ("py:.*", r"insim_async\.campaigns\._kept\.M"),  # a type variable
    ("py:.*", r"insim_async\.testing\._sandbox\.Where"),  # arguments by name; the words say which
]
