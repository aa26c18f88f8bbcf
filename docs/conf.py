"""Sphinx configuration. Build: `sphinx-build -W -b html docs docs/_build/html`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from meter.core.version import __version__

project = "meter"
author = "The meter authors"
copyright = "The meter authors"
release = __version__

extensions = ["myst_parser", "contract_reference", "plugin_reference", "module_reference"]
exclude_patterns = ["_build", "_ext"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"meter {release}"
html_show_sphinx = False
