"""Settings of the documentation site, which `make docs` builds into build/docs."""

import importlib
import pathlib
import re
import sys

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.utils.math import latex2mathml

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "tf_mmdvlae"
author = "the tf_mmdvlae developers"
release = re.search(
    r'__version__ = "(.*)"', (ROOT / "tf_mmdvlae" / "__init__.py").read_text()
).group(1)

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# Docstrings put code between single backticks.
default_role = "code"
# The equations in docstrings are no Python.
highlight_language = "none"

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
maximum_signature_line_length = 88
# The fields of a settings class are one list, as arguments are.
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"tf_mmdvlae {release}"
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]


def _mathml(as_block):
    """A visitor that writes an equation as MathML, which browsers draw without a script."""

    def visit(translator, node):
        equation = latex2mathml.tex2mathml(node.astext(), as_block=as_block)
        translator.body.append(f'<div class="math">{equation}</div>' if as_block else equation)
        raise nodes.SkipNode

    return visit, None


_CODE = re.compile(r"(``.*?``|`[^`]*`)")
_MARKUP = re.compile(r"[\\*|]|(?<=\w)_(?!\w)")


def _plain_text(app, what, name, owner, options, lines):
    """Lets docstrings be plain text: of reStructuredText they use code, lists and sections only.

    Other markup is escaped, and an indented block after a colon, such as an equation, is shown as
    it stands. Napoleon would take the words before a colon under "Returns:" for a type; a colon in
    front of them prevents that.
    """
    block_indent = None
    for index, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if block_indent is not None and (not line.strip() or indent >= block_indent):
            continue
        block_indent = None
        start = indent + 2 if line[indent:].startswith("* ") else 0
        parts = _CODE.split(line[start:])
        parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
        lines[index] = line[:start] + "".join(parts)
        if index and lines[index - 1].strip() in ("Returns:", "Yields:"):
            lines[index] = line[:indent] + ": " + lines[index][indent:]
        blank, after = [*lines[index + 1 : index + 3], "", "x"][:2]
        is_indented = after.strip() and len(after) - len(after.lstrip()) >= indent + 4
        if line.endswith(":") and not blank.strip() and is_indented:
            lines[index] += ":"
            block_indent = indent + 4


class _CommandHelp(Directive):
    """Shows what `bin/<command> --help` prints."""

    required_arguments = 1

    def run(self):
        command = importlib.import_module(f"tf_mmdvlae.cli.{self.arguments[0]}").main
        text = command.help()
        return [nodes.literal_block(text, text, language="none", classes=["command-help"])]


def setup(app):
    app.add_directive("command-help", _CommandHelp)
    app.add_html_math_renderer("mathml", _mathml(as_block=False), _mathml(as_block=True))
    # Before napoleon, which turns the sections into reStructuredText.
    app.connect("autodoc-process-docstring", _plain_text, priority=400)
