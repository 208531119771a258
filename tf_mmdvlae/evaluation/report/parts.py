"""The pieces that a section of the page is made of."""

import base64
import pathlib


def text(words):
    """A paragraph."""
    return {"kind": "text", "text": words}


def note(words):
    """A paragraph that should not be overlooked."""
    return {"kind": "note", "text": words}


def heading(words):
    """A heading within a section."""
    return {"kind": "heading", "text": words}


def table(head, rows, numbers=None):
    """A table.

    Args:
      head: titles of the columns.
      rows: a list of lists of cells, text.
      numbers: columns, from 0, that are set to the right; None for all but the first.
    """
    columns = range(1, len(head)) if numbers is None else numbers
    return {"kind": "table", "head": head, "rows": rows, "numbers": list(columns)}


def pictures(*pairs):
    """Pictures side by side.

    Args:
      pairs: (SVG text or the path of a PNG file, caption) of each.
    """
    return {
        "kind": "pictures",
        "pictures": [{"source": _source(picture), "caption": said} for picture, said in pairs],
    }


def _source(picture):
    if isinstance(picture, pathlib.Path):
        return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
