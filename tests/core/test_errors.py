"""Long messages on one line."""

from pipeline_lib.core.errors import one_line


def test_of_a_long_text_the_middle_goes():
    text = f"work/a.csv is wrong: {'x' * 400}; correct the path"
    line = one_line(text)
    assert len(line) == 300 and line.startswith("work/a.csv is wrong: x") and line.endswith("x; correct the path")
    assert line.count("…") == 1
    assert one_line("x" * 300) == "x" * 300
    assert [one_line("abcdef", limit) for limit in (1, 2, 3, 4, 6)] == ["…", "a…", "a…f", "ab…f", "abcdef"]
