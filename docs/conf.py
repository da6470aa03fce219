"""Sphinx configuration."""

from importlib.metadata import version as _version

project = "avi-theory"
author = "The avi-theory developers"
release = version = _version("avi-theory")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "avi-theory"
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "off"
autodoc_typehints = "description"
