"""The site: ``make site``. Builds without a network, and every warning is an error."""

import re

from sphinx.application import Sphinx

from recobatch import __version__

project = "recobatch"
author = "the recobatch maintainers"
project_copyright = "the recobatch maintainers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["images/*.dot"]

# Headings can be linked to as on GitHub.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "recobatch"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Take single asterisks in the help of options as they are: a cron expression is no emphasis."""
    app.connect("sphinx-click-process-options", _escape_asterisks)


def _escape_asterisks(_app: Sphinx, _context: object, lines: list[str]) -> None:
    lines[:] = [re.sub(r"(?<!\*)\*(?!\*)", r"\\*", line) for line in lines]  # double ones are sphinx-click's own
