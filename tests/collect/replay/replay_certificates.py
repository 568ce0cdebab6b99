"""Nothing → a certificate authority that lives as long as a test, and a certificate for YouTube's hosts signed by it."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

HOSTS = (
    "youtube.com", "*.youtube.com", "youtube-nocookie.com", "*.googlevideo.com", "*.googleapis.com", "elsewhere.example",
)  # fmt: skip
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


def make(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """(the authority's certificate, a server's context). Skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("the replay server needs the openssl command")
    authority, key = folder / "authority.pem", folder / "authority.key"
    _openssl("req", "-x509", *_KEY, "-subj", "/CN=replay", "-keyout", key, "-out", authority)
    request, server_key, server = folder / "server.csr", folder / "server.key", folder / "server.pem"
    _openssl("req", *_KEY[:-2], "-subj", "/CN=youtube.com", "-keyout", server_key, "-out", request)
    names = folder / "names"
    names.write_text("subjectAltName=" + ",".join(f"DNS:{host}" for host in HOSTS))
    signing = ("-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", "2", "-extfile", names)
    _openssl("x509", "-req", "-in", request, *signing, "-out", server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server, server_key)
    return authority, context


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
