"""The documentation site: Sphinx, furo and MyST, built offline by `make docs`."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "jaxmask"
author = "the authors of jaxmask"
copyright = "the authors of jaxmask, Apache-2.0"
release = version = importlib.metadata.version("jaxmask")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "flag_reference",
    "format_reference",
    "adopted",
    "docstrings",
]
exclude_patterns = ["_ext"]
nitpicky = True
smartquotes = False  # "--" is no dash here

myst_enable_extensions = ["deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"jaxmask {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Links of 4.5 : 1 and more on their background.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005a8c", "color-brand-content": "#005a8c"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f0", "color-brand-content": "#7cc4f0"},
}
pygments_style = "default"
pygments_dark_style = "github-dark"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "NDArray", "Table", "Select")}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
# Types of other libraries have no page here, and nothing is fetched from the network when the site is built.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|pathlib|collections|xarray|h5py|nnx)(\..*)?|NDArray.*|ArrayLike|Table|Select|dict\[.*"),
    ("py:class", r"jaxmask\.(model\.Model|network\.Network)"),  # what a CloudModel is made of
]
