"""Small pieces of HTML; every text is escaped here and nowhere else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from matplotlib.figure import Figure

from recobatch.report.style import NARROW, WIDE, Shape, to_inline_svg


def paragraph(text: str, css_class: str = "") -> str:
    mark = f' class="{css_class}"' if css_class else ""
    return f"<p{mark}>{escape(text)}</p>"


def code_block(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"


def link(text: str, url: str | None) -> str:
    """A link, or the bare text where there is none or it is no web page."""
    if not url or not url.startswith(("http://", "https://")):
        return escape(text)
    return f'<a href="{escape(url, quote=True)}">{escape(text)}</a>'


def facts(pairs: Mapping[str, str], css_class: str = "facts") -> str:
    """Names and values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items())
    return f'<dl class="{css_class}">{rows}</dl>'


def tiles(pairs: Mapping[str, str]) -> str:
    """The few figures that one looks for first."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs.items())
    return f'<dl class="tiles">{rows}</dl>'


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, optional: Iterable[int] = (), marked: str = ""
) -> str:
    """A table whose first column is text and whose others are figures.

    Args:
        columns: Headings.
        rows: Cells as HTML, already escaped.
        optional: Columns left out on a narrow screen.
        marked: First cell of the row to set in bold.
    """
    left_out = set(optional)

    def cell(tag: str, place: int, content: str) -> str:
        classes = [*(["number"] if place else []), *(["optional"] if place in left_out else [])]
        mark = f' class="{" ".join(classes)}"' if classes else ""
        return f"<{tag}{mark}>{content}</{tag}>"

    def line(row: Sequence[str]) -> str:
        mark = ' class="champion"' if row[0] == marked else ""
        return f"<tr{mark}>{''.join(cell('td', place, content) for place, content in enumerate(row))}</tr>"

    head = "".join(cell("th", place, escape(name)) for place, name in enumerate(columns))
    body = "".join(map(line, rows))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(name: str, description: str, draw: Callable[[Shape], Figure]) -> str:
    """A picture in two drawings, one for a narrow screen: shrinking one would shrink its letters.

    Args:
        name: Letters and hyphens, unique on the page.
        description: For those who cannot see it.
        draw: Draws it at a size.
    """
    drawings = "".join(
        f'<div class="{kind}">{to_inline_svg(draw(shape), f"{name}-{kind}")}</div>'
        for kind, shape in (("wide", WIDE), ("narrow", NARROW))
    )
    return f'<figure role="img" aria-label="{escape(description, quote=True)}">{drawings}</figure>'
