"""Due diligence on real films from registry packages, on each spoiled in every way, and near-duplicates among them."""

import contextlib
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline_lib.clean import duplicates, near
from pipeline_lib.clean.due_diligence import check
from pipeline_lib.clean.facts import Facts
from pipeline_lib.clean.inspection import inspect
from pipeline_lib.clean.text_checks import Texts
from pipeline_lib.collect import films
from pipeline_lib.config.clean import DueDiligence, Duplicates
from pipeline_lib.config.video import Limits
from pipeline_lib.core.errors import ItemError, Reason, UserError
from pipeline_lib.video.worker import Worker

from .spoil import SURE, WAYS, spoil

pytestmark = pytest.mark.slow

#: The second pair is one film, played too fast in one of the files; such are told apart by their durations.
SAME = ({"carphone_pristine", "carphone_distorted"}, {"Megamind", "Megamind_bugy"})

CACHE = Path(__file__).parents[2] / ".cache/sample"
TEXTS = Texts("A description.", 3, 20, "manual", "en", "en", 0.99, 0.0)
#: Some films are spoiled in fewer ways: two take long to read.
FEWER = {
    "bbb.mp4": ("cut_5", "cut_60"),
    "vtest.avi": ("cut_60", "flipped_0", "hole"),
    "tree.avi": tuple(way for way in WAYS if not way.startswith("declared")),  # its codec doesn't go into Matroska
}


@pytest.fixture(scope="module")
def film():
    """A function from the name of a film to its file, skipping the test where it can't be had."""

    def get(name):
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            return films.fetch(name, CACHE)
        except UserError as error:
            pytest.skip(str(error))

    return get


@pytest.fixture(scope="module")
def outcome():
    """A function from a file to "ok" or the reason that speaks against it; it fails on hangs and on faults of our own."""
    with Worker(Limits(wall=20.0, wall_per_second=0.5)) as worker:

        def judge(path):
            try:
                check(inspect(path, worker), TEXTS, DueDiligence())
            except ItemError as error:
                assert error.reason not in (Reason.INTERNAL, Reason.DECODE_TIMEOUT, Reason.DECODER_CRASH), str(error)
                assert str(path.parent) not in error.detail and "\n" not in error.detail
                return str(error.reason)
            return "ok"

        yield judge


@pytest.mark.parametrize("name", sorted(films.MEDIA))
def test_real_films_pass(name, film, outcome):
    assert outcome(film(name)) == "ok"


@pytest.mark.parametrize("name", sorted(set(films.MEDIA) - {"trailer_bbb.mp4", "Megamind_bugy.avi"}))
def test_a_spoiled_film_is_a_reason_or_passes(name, film, outcome, tmp_path):
    path, ways = film(name), FEWER.get(name, tuple(WAYS))
    found = {way: outcome(spoil(path, way, tmp_path / name)) for way in ways}
    assert {way: found[way] for way in found.keys() & SURE if found[way] not in SURE[way]} == {}
    if "hole" in found and name.endswith((".mp4", ".avi")):
        assert found["hole"] != "ok"
    if path.read_bytes()[:4] == b"RIFF" or name == "bbb.mp4":  # what says how long it is before its pictures
        assert {found[way] for way in found if way.startswith("cut_")} == {"truncated"}


def test_a_rotated_and_a_renamed_film_pass(film, outcome, tmp_path):
    source = film("bikes.mp4")
    turned, renamed = tmp_path / "turned.mp4", tmp_path / "renamed.webm"
    with av.open(str(source)) as old, av.open(str(turned), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        stream.set_display_rotation(90)
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    renamed.write_bytes(source.read_bytes())
    assert outcome(turned) == outcome(renamed) == "ok"
    with Worker() as worker:
        assert (inspect(turned, worker).width, inspect(turned, worker).height) == (272, 640)


@pytest.fixture(scope="module")
def many(film, tmp_path_factory):
    """Facts of all real films, and of the whole Big Buck Bunny in 60 pieces, with who is who."""
    folder = tmp_path_factory.mktemp("scenes")
    paths = [film(name) for name in sorted(films.MEDIA)] + list(pieces(film("bbb.mp4"), folder, 60))
    with Worker() as worker:
        found = [(path, inspect(path, worker)) for path in paths]
    return [
        Facts(path.stem, seconds=one.length, width=one.width, height=one.height, hashes=tuple(one.hashes))
        for path, one in found
    ]


def pieces(source, folder, count):
    """The packets of a film in `count` files of about equal length, each from a keyframe on."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        step = float(stream.duration * stream.time_base) / count
        new, number = None, -1
        with contextlib.ExitStack() as files:
            for packet in container.demux(stream):
                if packet.dts is None:
                    continue
                if packet.is_keyframe and float(packet.pts * packet.time_base) >= (number + 1) * step:
                    files.close()
                    number += 1
                    path = folder / f"scene_{number:02d}.mp4"
                    new = files.enter_context(av.open(str(path), "w"))
                    copy = new.add_stream_from_template(stream)
                    shift = packet.dts
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                new.mux(packet)
    return sorted(folder.glob("*.mp4"))


def test_the_distorted_film_is_a_near_duplicate_and_no_other_two_are(many):
    assert len(many) == len(films.MEDIA) + 60
    found = duplicates.find(many, {}, Duplicates())
    assert [(pair.video_id, pair.kept, pair.reason) for pair in found] == [
        ("carphone_pristine", "carphone_distorted", "near_duplicate")
    ]
    assert found[0].distance <= 5


def test_how_far_different_films_are_from_the_limit(many):
    """Of any two, at most half as many pictures match as must: with pieces cut at their neighbours' pictures among them."""
    hashes, shows = duplicates.hash_table(many)
    left, right = np.triu_indices(len(many), 1)
    pairs = np.stack([left, right], axis=1)
    matching = near._match(hashes, shows, left, right, Duplicates().bits)
    mean = near.distances(hashes, shows, pairs)
    same = np.array([{many[i].video_id, many[j].video_id} in SAME for i, j in pairs])
    others = ~same
    assert matching[same].tolist() == [8, 8]
    assert matching[others].max() <= 4 and mean[others].min() > Duplicates().bits
