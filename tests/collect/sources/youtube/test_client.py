import datetime
import stat

import pytest
from yt_dlp import YoutubeDL

from pipeline_lib.collect.limiter import Refused
from pipeline_lib.collect.sources.youtube import runtime, secrets
from pipeline_lib.collect.sources.youtube.client import check_address, retry_after
from pipeline_lib.config.youtube import YouTube
from pipeline_lib.core.errors import ItemError, UserError

COOKIES = "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t2147483647\tSID\tsecret\n"


@pytest.fixture
def cookie_file(tmp_path, monkeypatch):
    monkeypatch.delenv(secrets.VARIABLE, raising=False)
    path = tmp_path / "cookies.txt"
    path.touch(mode=0o600)
    path.write_text(COOKIES)
    return path


def test_cookies_by_path_or_environment(cookie_file, monkeypatch):
    assert secrets.cookies(None) is None
    assert secrets.cookies(str(cookie_file)).read() == COOKIES
    monkeypatch.setenv(secrets.VARIABLE, str(cookie_file))
    assert secrets.cookies(None).read() == COOKIES


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
def test_cookies_that_others_can_read_are_refused(cookie_file, mode):
    cookie_file.chmod(mode)
    with pytest.raises(UserError, match=rf"mode {mode:04o}.*chmod 600") as error:
        secrets.cookies(str(cookie_file))
    assert "secret" not in str(error.value)
    assert stat.S_IMODE(cookie_file.stat().st_mode) == mode


@pytest.mark.parametrize("content", ["", '{"SID": "secret"}', "SID=secret", b"\xff\xfe\x00"])
def test_what_is_no_cookie_file(cookie_file, content):
    cookie_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        secrets.cookies(str(cookie_file))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        ".youtube.com TRUE / TRUE 0 SID s3cr3t",
        ".youtube.com\tTRUE\t/\tTRUE\tnever\tSID\ts3cr3t",
        ".youtube.com\tFALSE\t/\tTRUE\t0\tSID\ts3cr3t",
        "#HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t0\tSID\ts3c\tr3t",
        f".youtube.com\tTRUE\t/\tTRUE\t{'9' * 400}\tSID\ts3cr3t",
    ],
)
def test_no_line_of_a_cookie_file_is_shown(cookie_file, caplog, capfd, line):
    cookie_file.write_text(f"{COOKIES}{line}\n#HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t0\tHSID\tsecret\n")
    with caplog.at_level("DEBUG"):
        jar = YoutubeDL({"cookiefile": secrets.cookies(str(cookie_file)), "quiet": True}).cookiejar
    assert {one.name for one in jar} == {"SID", "HSID"} and {one.value for one in jar} == {"secret"}
    shown = caplog.text + "".join(capfd.readouterr())
    assert "lines 3 are no cookies" in shown and "r3t" not in shown


def test_a_cookie_file_without_its_first_line(cookie_file):
    cookie_file.write_text(COOKIES.partition("\n")[2])
    assert secrets.cookies(str(cookie_file)).read() == COOKIES


def test_a_missing_cookie_file(tmp_path):
    with pytest.raises(UserError, match=r"can't be read \(No such file"):
        secrets.cookies(str(tmp_path / "none"))


def test_the_age_of_ytdlp_is_logged(caplog):
    released = datetime.date(*map(int, runtime.__version__.split(".")[:3]))
    with caplog.at_level("INFO"):
        assert runtime.log_versions(released + datetime.timedelta(days=7)) == 7
        assert "(7 days old)" in caplog.text and "--upgrade" not in caplog.text
        runtime.log_versions(released + datetime.timedelta(days=90))
    assert "90 days old" in caplog.text and "pip install --upgrade" in caplog.text


def fake(folder, name, says):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_the_first_runtime_that_will_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(runtime.sys, "executable", str(tmp_path / "python"))
    fake(tmp_path, "deno", "deno 1.0.0")
    fake(tmp_path, "node", "v22.1.0")
    assert runtime.js_runtimes(["deno", "node"]) == {"node": {"path": str(tmp_path / "node")}}
    fake(tmp_path, "deno", "deno 2.9.8 (stable)")
    assert list(runtime.js_runtimes(["deno", "node"])) == ["deno"]
    assert runtime.js_runtimes([]) == {}


def test_without_a_runtime_the_fix_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runtime.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UserError, match=r"no JavaScript runtime.*pip install deno.*js_runtimes to \[\]"):
        runtime.js_runtimes(["deno", "node", "bun", "quickjs"])
    fake(tmp_path, "node", "v18.0.0")
    with pytest.raises(UserError, match=r"node 18\.0\.0 is too old"):
        runtime.js_runtimes(["deno", "node"])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        ("9" * 30, 1e6),
        ("9" * 5000, 1e6),
        ("-5", None),
        ("soon", None),
        ("٣", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header, now=1445412480 - 60) == seconds


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=x",
        "https://youtube.com/",
        "https://rr1---sn-x.googlevideo.com/videoplayback?x=1",
    ],
)
def test_addresses_of_youtube(url):
    check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://www.youtube.com/",
        "file:///etc/passwd",
        "https://youtube.com.evil.example/",
        "https://notyoutube.com/",
        "https://169.254.169.254/latest/meta-data",
        "https://youtube.com@evil.example/",
        "https://evil.example\\@youtube.com/",
        "https://evil.example\\.youtube.com/",
        "https://evil.example\n.youtube.com/",
        "https://[youtube.com/",
        "concat:a|b",
        "",
    ],
)
def test_addresses_elsewhere(url):
    with pytest.raises(ItemError, match="none of YouTube's"):
        check_address(url)


def test_a_captcha_is_a_refusal():
    with pytest.raises(Refused):
        check_address("https://www.google.com/sorry/index?continue=https://www.youtube.com/")


def test_a_proxy_with_a_password_belongs_into_the_environment():
    with pytest.raises(ValueError, match="HTTPS_PROXY"):
        YouTube(proxy="http://user:secret@proxy.example:3128")
