"""Options for the layout of a ratings file."""

from pydantic import BaseModel, ConfigDict, field_validator


class ReadOptions(BaseModel):
    """The layout of a ratings file; what is ``None`` is detected."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    user_column: str | int | None = None
    """Name of the column with user ids, or its position from 0."""
    item_column: str | int | None = None
    """Name of the column with item ids, or its position from 0."""
    rating_column: str | int | None = None
    """Name of the column with ratings, or its position from 0."""
    time_column: str | int | None = None
    """Name of the column with times, or its position from 0; an empty text means that times are not read."""
    delimiter: str | None = None
    r"""Separator of the fields of a text file: one ASCII character, ``::``, or ``\t``."""
    header: bool | None = None
    """Whether the first line of a text file names the columns."""

    @field_validator("delimiter")
    @classmethod
    def _is_a_delimiter(cls, delimiter: str | None) -> str | None:
        if delimiter in {None, "::"}:
            return delimiter
        if delimiter in {"\\t", "tab"}:
            return "\t"
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\r\n"\0':
            raise ValueError(f"found {delimiter!r}, expected one ASCII character, '::' or '\\t'")
        return delimiter

    def updated(self, other: "ReadOptions") -> "ReadOptions":
        """These options, overridden by those that are set in ``other``."""
        return self.model_copy(update=other.model_dump(include=set(ReadOptions.model_fields), exclude_none=True))
