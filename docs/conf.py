"""The documents as a site: the lessons, and an API reference made from the docstrings.

    python -m sphinx -W --keep-going docs build/docs

It takes the extra ``docs``.  Every public module of every package has a page, made anew for each
build under ``api/``.  Docstrings are what ``help()`` shows too, so what stands there as a table or
as a picture of steps needs no markup: it is told by its indented lines, and kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "lastref"
version = release = metadata.version("lastref")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"]
templates_path = ["_templates"]
exclude_patterns = ["_templates", "lessons/exercises"]
suppress_warnings = ["ref.python"]  # two classes of one name, each in its module: both are shown
highlight_language = "none"  # most literal blocks are tables and pictures
html_theme = "furo"
html_title = "lastref"
html_show_copyright = html_show_sphinx = False

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "ignore-module-all": True,  # what a package passes on is told where it is defined
}
autodoc_preserve_defaults = True
autodoc_mock_imports = ["pytest"]  # the plugin is loaded by pytest only, which this is not
myst_heading_anchors = 3

_MARKUP = re.compile(r"\s*([-*] |\d+\. |>>> |\.\. )")
_DEEP = 4
"""From how many spaces on a line counts as indented: less goes on with a list's item."""


def kept_as_they_are(lines: list[str]) -> Iterator[str]:
    """Yield ``lines`` of a docstring; paragraphs with indented lines are marked as literal blocks.

    >>> list(kept_as_they_are(["A word:", "", "    +---+", "    | w |", "", "So."]))
    ['A word:', '', '::', '', '    +---+', '    | w |', '', 'So.']
    """
    marked = False
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        deep = any(line.startswith(" " * _DEEP) for line in paragraph)
        if blank or not deep or _MARKUP.match(paragraph[0]):
            marked &= blank
            yield from paragraph if blank else map(_escaped, paragraph)
            continue
        if not marked:
            yield from ("::", "")
        marked = True
        flush = not paragraph[0].startswith(" " * _DEEP)
        yield from (" " * _DEEP * flush + line for line in paragraph)


def _escaped(line: str) -> str:
    """Return ``line`` with no word that ends in an underscore: that would be a link."""
    return re.sub(r"(?<=\w)_(?=[\s).,;:]|$)", r"\\_", line)


def _process(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    lines[:] = kept_as_they_are(lines)


def setup(app: Sphinx) -> None:
    """Have every docstring go through :func:`kept_as_they_are`."""
    app.connect("autodoc-process-docstring", _process)
