"""The templates of the pages, compiled once in a process."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def load_template(name: str) -> Template:
    """A template of ``recobatch/report/templates`` by file name; it escapes every value, and none may be missing."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("recobatch.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["n"] = "{:,}".format
    return environment
