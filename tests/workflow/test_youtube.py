"""The collecting part of the workflow on the replayed site: search, stop, retry, and no secret anywhere."""

import pytest
import replay_certificates
from replay_server import serve
from replay_site import Fault, Site, Video, result
from workflow_project import Project

from pipeline_lib.collect import retry
from pipeline_lib.core import files, ledger

pytestmark = pytest.mark.slow

SECRET = "s3cr3t-of-the-cookie-file"
COOKIES = "jar-of-biscuits.txt"  # a name that no source file has
GOOD, PRIVATE, BUSY = "good_video0", "private_vid", "busy_video0"
TARGETS = ("work/vid2article_master_not_filtered.json", "work/videos/0000.parquet", "work/videos/0001.parquet")


@pytest.fixture
def running(tmp_path, video, monkeypatch):
    """(project, site) with the site behind a proxy that the project is configured for."""
    authority, context = replay_certificates.make(tmp_path)
    cookies = tmp_path / COOKIES
    cookies.touch(mode=0o600)
    cookies.write_text(f"# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t2147483647\tSID\t{SECRET}\n")
    media = video.read_bytes()
    videos = {GOOD: Video(media), PRIVATE: Video(media), BUSY: Video(media)}
    videos[PRIVATE].faults = [Fault("player", "private")]
    site = Site(videos, {"storm": [[result(video_id, "Storm") for video_id in videos]]})
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.delenv("YOUTUBE_COOKIES", raising=False)
    with serve(site, context) as server:
        polite = {
            "requests_per_minute": 60_000.0,
            "burst": 50,
            "videos_per_hour": 3_600_000.0,
            "wait": 0.01,
            "stop_after": 4,
        }
        youtube = {"politeness": polite, "js_runtimes": [], "proxy": server.address, "cookies": str(cookies)}
        source = {"kind": "youtube", "queries": ["storm"], "youtube": youtube}
        yield Project.create(tmp_path / "project", source=source, max_failed_fraction=1.0), site


def reasons(project, stage):
    rows = ledger.read_shards(project.folder / "work" / stage, 2)
    return {video_id: row.reason for video_id, row in rows.items()}


def test_search_stop_retry(running):
    project, site = running
    project.run(*TARGETS)
    expected = {GOOD: None, PRIVATE: "private", BUSY: None}
    assert {stage: reasons(project, stage) for stage in ("articles", "captions", "videos")} == dict.fromkeys(
        ("articles", "captions", "videos"), expected
    )
    master = files.read_json(project.folder / TARGETS[0])
    assert set(master) == {GOOD, BUSY} and master[GOOD]["caption_kind"] == "manual"
    assert project.planned(*TARGETS) == {}

    site.videos[PRIVATE].faults = []  # it became public: nobody asks again until told to
    assert project.planned(*TARGETS) == {}
    assert retry.reopen(project.folder / "work", {"private"})[0]["videos", "private"] == 1
    planned = project.planned(*TARGETS)
    assert planned == {"articles": 1, "captions": 1, "videos": 1, "master": 2}
    project.run(*TARGETS)
    assert set(reasons(project, "videos").values()) == {None}
    assert set(files.read_json(project.folder / TARGETS[0])) == {GOOD, PRIVATE, BUSY}

    shown = project.run("-n", "-p", "results/dataset_report.html", "results/coref_eval.json").stdout
    assert "pipeline_lib.report.dataset" in shown and "pipeline_lib.coref.evaluate" in shown and COOKIES not in shown
    for path in project.folder.rglob("*"):
        if path.is_file() and path.suffix != ".mp4":
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert COOKIES.encode() not in content or path.name == "tiny.yaml", path


def test_refusals_stop_the_run_with_the_time_to_resume(running):
    project, site = running
    for video in site.videos.values():
        video.faults = [Fault("player", "429")]
    output = project.run(*TARGETS, check=False)
    assert output.returncode == 1 and "Resume after" in output.stdout
    assert not list((project.folder / "work").rglob("videos/*.parquet"))
