"""A document of headings, paragraphs, lists and tables, as Markdown and as one HTML page that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from mirr.env.rendering import printable

_MARKDOWN_SIGNS = frozenset("\\`*[]<>|&")

_STYLE = """
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th, td { border-bottom: 1px solid #8888; padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top; }
  @media print {
    :root { color-scheme: light; }
    body { font-size: 11pt; max-width: none; margin: 0; padding: 0; }
    h2 { break-after: avoid; } tr { break-inside: avoid; } thead { display: table-header-group; }
  }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a browser asks for nothing, whatever a text contains


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list; `none` is written where it is empty."""

    items: tuple[str, ...]
    none: str


@dataclass(frozen=True)
class Table:
    """Rows under headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Paragraph | Bullets | Table


@dataclass(frozen=True)
class Section:
    """A heading and what is under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A title and sections. Every text is plain: what means something in Markdown or in HTML is shown as it is."""

    title: str
    sections: tuple[Section, ...]

    def markdown(self) -> str:
        """The document as Markdown."""
        parts = [f"# {_markdown_text(self.title)}"]
        for section in self.sections:
            parts.append(f"## {_markdown_text(section.heading)}")
            parts += ["\n".join(_markdown(block)) for block in section.blocks]
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """The document as one page, to read and to print. It has no script and loads nothing."""
        lines = [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{_html_text(self.title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{_html_text(self.title)}</h1>",
        ]
        for section in self.sections:
            lines.append(f"<h2>{_html_text(section.heading)}</h2>")
            for block in section.blocks:
                lines += _html(block)
        return "\n".join([*lines, "</body>", "</html>"]) + "\n"


def _markdown_text(text: str) -> str:
    return "".join(f"\\{sign}" if sign in _MARKDOWN_SIGNS else sign for sign in printable(text))


def _markdown(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield _markdown_text(text)
        case Bullets(items, none):
            yield from [f"- {_markdown_text(item)}" for item in items] or [_markdown_text(none)]
        case Table(headings, rows):
            yield _markdown_row(headings)
            yield "|---" * len(headings) + "|"
            for row in rows:
                yield _markdown_row(row)
        case _:
            assert_never(block)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_markdown_text(cell) for cell in cells)} |"


def _html_text(text: str) -> str:
    return html.escape(printable(text))


def _html(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield f"<p>{_html_text(text)}</p>"
        case Bullets((), none):
            yield f"<p>{_html_text(none)}</p>"
        case Bullets(items, _):
            yield f"<ul>{''.join(f'<li>{_html_text(item)}</li>' for item in items)}</ul>"
        case Table(headings, rows):
            yield '<div class="wide"><table>'
            yield f"<thead>{_html_row(headings, 'th')}</thead>"
            yield "<tbody>"
            for row in rows:
                yield _html_row(row, "td")
            yield "</tbody></table></div>"
        case _:
            assert_never(block)


def _html_row(cells: Iterable[str], tag: str) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    return f"<tr>{''.join(f'<{tag}{scope}>{_html_text(cell)}</{tag}>' for cell in cells)}</tr>"
