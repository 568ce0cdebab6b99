"""Fixtures of the replay tests: YouTube's answers from this machine, and the source that asks for them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import replay_certificates
from replay_server import Server, serve
from replay_site import Site

from pipeline_lib.collect.sources.youtube.source import YouTubeSource
from pipeline_lib.config.youtube import Politeness, YouTube

#: Fast enough for tests, with every mechanism on.
POLITENESS = Politeness(
    requests_per_minute=60_000,
    burst=50,
    videos_per_hour=3_600_000,
    tries=3,
    wait=0.02,
    max_wait=5,
    stop_after=8,
    timeout=1.0,
)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return replay_certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def youtube(certificates, tmp_path, monkeypatch) -> Iterator[Callable[..., tuple[YouTubeSource, Server]]]:
    """A function (site, options) that starts a site and opens the source on it."""
    authority, context = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "YOUTUBE_COOKIES"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with contextlib.ExitStack() as running:

        def open_source(site: Site, work: Path = tmp_path / "work", **options) -> tuple[YouTubeSource, Server]:
            server = running.enter_context(serve(site, context))
            values = {"politeness": POLITENESS, "js_runtimes": [], "proxy": server.address} | options
            return YouTubeSource(YouTube(**values), work), server

        yield open_source
