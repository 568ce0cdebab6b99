"""Messages on one line, short and without secrets."""

import pytest

from pipeline_lib import config
from pipeline_lib.core.errors import UserError, fail, one_line


def test_of_a_long_text_the_middle_goes():
    text = f"work/a.csv is wrong: {'x' * 400}; correct the path"
    line = one_line(text)
    assert len(line) == 300 and line.startswith("work/a.csv is wrong: x") and line.endswith("x; correct the path")
    assert line.count("…") == 1
    assert one_line("x" * 300) == "x" * 300
    assert [one_line("abcdef", limit) for limit in (1, 2, 3, 4, 6)] == ["…", "a…", "a…f", "ab…f", "abcdef"]


def test_a_wrong_key_with_a_secret_is_told_without_it(capsys):
    """As the Snakefile tells it."""
    with pytest.raises(UserError) as wrong:
        config.load({"source": {"youtube": {"clients": "http://me:secret@proxy.example:3128"}}})
    with pytest.raises(SystemExit):
        fail(f"error in the configuration: {wrong.value}", 2)
    told = capsys.readouterr().err
    assert "source.youtube.clients = " in told and "secret" not in told
