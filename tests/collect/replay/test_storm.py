"""Two hundred videos, a third of them with faults, three kills: every id has its row, every good file its bytes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from replay_server import serve
from replay_site import PLAYABILITY, Fault, Site, Video

from pipeline_lib.collect.split import split
from pipeline_lib.core import files, ledger

STAGES = ("articles", "captions", "videos")
SHARDS, COUNT = 2, 200
RATE, BURST = 40.0, 10  # requests per second, and at once
SECRET = "s3cr3t-of-the-cookie-file"
POLITENESS = {
    "requests_per_minute": 60 * RATE, "burst": BURST, "videos_per_hour": 3_600_000, "tries": 3, "wait": 0.02, "max_wait": 1.5,
    "stop_after": 30, "timeout": 1.5,
}  # fmt: skip

#: Fault → the reasons of the three stages; None: ok.
_ALL = {kind: (kind, kind, kind) for kind in PLAYABILITY}
FAULTS = {
    **{kind: (Fault("player", kind), reasons) for kind, reasons in _ALL.items()},
    "page 503 once": (Fault("page", "503", 1), (None, None, None)),
    "player 429 twice": (Fault("player", "429", 2), (None, None, None)),
    "player 429, retry after": (Fault("player", "429", 1, retry_after="1"), (None, None, None)),
    "player 429 always": (Fault("player", "429"), ("rate_limited",) * 3),
    "player 503 always": (Fault("player", "503"), ("network",) * 3),
    "player reset once": (Fault("player", "reset", 1), (None, None, None)),
    "captions 429 always": (Fault("captions", "429"), (None, "rate_limited", None)),
    "captions 500 twice": (Fault("captions", "500", 2), (None, None, None)),
    "captions garbage": (Fault("captions", "garbage"), (None, "bad_captions", None)),
    "media 403": (Fault("media", "403"), (None, None, "request_blocked")),
    "media 429 twice": (Fault("media", "429", 2), (None, None, None)),
    "media 503 twice": (Fault("media", "503", 2), (None, None, None)),
    "media reset": (Fault("media", "reset", 2), (None, None, None)),
    "media stall": (Fault("media", "stall", 1), (None, None, None)),
    "media html": (Fault("media", "html"), (None, None, "not_a_video")),
    "media short": (Fault("media", "short"), (None, None, "network")),
}
OTHERS = {
    "unknown": (None, ("removed",) * 3),
    "captions disabled": (Video(captions=None), (None, "captions_disabled", None)),
    "captions elsewhere": (Video(captions={"de": "manual"}), (None, "no_captions", None)),
    "hostile": (
        Video(title="<script>", words="<b onload=x>a</b> &lt;script&gt;", description="$(x)\n../.."),
        (None,) * 3,
    ),
}
#: One video of each: more of them in a row are no video's fault, and stop the stage.
REFUSALS = ("request_blocked", "player 429 always", "captions 429 always")


@pytest.fixture(scope="module")
def storm(make_video, tmp_path_factory):
    """(site, expected reasons by id); every video has bytes of its own."""
    picture = make_video(tmp_path_factory.mktemp("storm") / "a.mp4", seconds=1).read_bytes()
    kinds = [kind for kind in (*FAULTS, *OTHERS) if kind not in REFUSALS]
    faulty = [*REFUSALS, *(kinds[i % len(kinds)] for i in range(COUNT // 3 - len(REFUSALS)))]
    videos, expected = {}, {}
    for i in range(COUNT):
        video_id = f"storm{i:06d}"
        kind = faulty[i // 3] if i % 3 == 0 and i // 3 < len(faulty) else None
        video, reasons = OTHERS.get(kind, (Video(), (None,) * 3))
        if kind in FAULTS:
            fault, reasons = FAULTS[kind]
            video = Video(faults=[fault])
        expected[video_id] = dict(zip(STAGES, reasons, strict=True))
        if video is not None:
            own = i.to_bytes(4, "big") * 10_000
            media = picture + (len(own) + 8).to_bytes(4, "big") + b"free" + own
            videos[video_id] = Video(**{**vars(video), "media": media})
    return Site(videos), expected


def journalled(work):
    return sum(path.read_bytes().count(b"\n") for path in work.rglob("journal.jsonl"))


@pytest.mark.slow
def test_storm(storm, certificates, tmp_path):
    site, expected = storm
    authority, context = certificates
    work, logs = tmp_path / "work", tmp_path / "logs"
    logs.mkdir()
    cookies = tmp_path / "cookies.txt"
    cookies.touch(mode=0o600)
    cookies.write_text(f"# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t2147483647\tSID\t{SECRET}\n")
    for index, part in enumerate(split({video_id: {} for video_id in expected}, SHARDS)):
        files.write_json(work / f"shards/{index:04d}.json", part)
    jobs = [(stage, index) for index in range(SHARDS) for stage in STAGES]

    with serve(site, context) as server:
        options = {"kind": "youtube", "youtube": {"politeness": POLITENESS, "js_runtimes": [], "proxy": server.address}}
        environment = {**os.environ, "SSL_CERT_FILE": str(authority), "YOUTUBE_COOKIES": str(cookies)}

        def start(stage, index):
            shard, out = work / f"shards/{index:04d}.json", work / stage / f"{index:04d}.parquet"
            command = [sys.executable, "-m", f"pipeline_lib.collect.{stage}", str(shard), "--out", str(out)]
            command += ["--options", json.dumps(options), "--max-failed-fraction", "1"]
            with open(logs / f"{stage}-{index}.log", "a") as log:
                return subprocess.Popen(command, env=environment, stderr=log)

        begun = time.monotonic()
        for target in (40, 120, 220):
            running = [start(*job) for job in jobs[:3]]
            while journalled(work) < target and any(one.poll() is None for one in running):
                time.sleep(0.05)
            for one in running:
                with contextlib.suppress(ProcessLookupError):
                    one.send_signal(signal.SIGKILL)
                one.wait()
        for some in (jobs[:3], jobs[3:]):
            running = [start(*job) for job in some]
            assert [one.wait() for one in running] == [0] * len(some), (logs / "videos-0.log").read_text()[-2000:]
        asked = list(server.asked)

    for stage in STAGES:
        rows = ledger.read_shards(work / stage, SHARDS)
        assert {video_id: row.reason for video_id, row in rows.items()} == {
            video_id: reasons[stage] for video_id, reasons in sorted(expected.items())
        }
    for video_id, row in ledger.read_shards(work / "videos", SHARDS).items():
        if row.ok:
            assert (work / row.artefact).read_bytes() == site.videos[video_id].media
    unfinished = {path.name for path in work.rglob(".part/*")}
    assert unfinished <= {video_id for video_id, reasons in expected.items() if reasons["videos"]}

    moments = [moment - begun for moment, _ in asked]
    print(f"{len(moments)} requests in {moments[-1]:.0f} s")
    for first in range(
        0, len(moments), 10
    ):  # each process has one request under way at most, and each kill leaves some
        for last in range(first, len(moments)):
            assert last - first + 1 <= BURST + RATE * (moments[last] - moments[first]) + 16
    assert any(SECRET in request.headers.get("Cookie", "") for _, request in asked)
    written = [*logs.iterdir(), *(path for path in work.rglob("*") if path.is_file() and path.suffix != ".mp4")]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert not [path for path in logs.iterdir() if b"replay-secret" in path.read_bytes()]
    assert cookies.stat().st_mode & 0o777 == 0o600 and SECRET in cookies.read_text()
