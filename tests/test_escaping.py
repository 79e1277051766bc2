"""Texts of others on a terminal, in markdown and in a spreadsheet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from recobatch.escaping import code_markdown, plain_markdown, printable, spreadsheet_cell


@given(st.text())
def test_nothing_of_a_text_acts_on_a_terminal(text):
    shown = printable(text)
    assert all(character.isprintable() or character in "\t\n" or ord(character) > 0x9F for character in shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\u202eb", r"a\u202eb"),
        ("日本\u3000é", "日本\u3000é"),
    ],
)
def test_control_characters_are_shown_as_such(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_a_span_of_code_holds_the_text_and_no_html(text):
    [paragraph] = MarkdownIt().parse(f"from {code_markdown(text)}.")[1:-1]
    assert [token.type for token in paragraph.children] == ["text", "code_inline", "text"]


@given(st.text("a<b>`*[](|)\\", min_size=1).filter(str.strip))
def test_plain_text_holds_no_markdown(text):
    [paragraph] = MarkdownIt().parse(f"x {plain_markdown(text)} x")[1:-1]
    assert {token.type for token in paragraph.children} <= {"text", "text_special"}
    assert "".join(token.content for token in paragraph.children) == f"x {text} x"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_is_no_formula(text):
    assert spreadsheet_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["Alien (1979)", "", "'t", "a=b"])
def test_another_cell_stays_as_it_is(text):
    assert spreadsheet_cell(text) == text
