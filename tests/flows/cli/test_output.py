"""What reaches the terminal."""

from pathlib import Path

import flows.cli
from flows.cli.output import echo


def test_an_id_does_not_act_on_the_terminal(capsys):
    echo("   1  4.500  \x1b]0;owned\x07 \x1b[2J Ümläut 日本")
    echo("found \x9b31m", err=True)
    out, err = capsys.readouterr()
    assert out == "   1  4.500  \\x1b]0;owned\\x07 \\x1b[2J Ümläut 日本\n"
    assert err == "found \\x9b31m\n"


def test_no_command_prints_by_another_way():
    modules = Path(flows.cli.__file__).parent.glob("*.py")
    assert [path.name for path in modules if "click.echo(" in path.read_text()] == ["output.py"]
