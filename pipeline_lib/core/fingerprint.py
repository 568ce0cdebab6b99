"""Python module of this package → hash over the code that decides its results."""

import ast
import atexit
import contextlib
import functools
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.core import files
from pipeline_lib.core.errors import UserError

PACKAGE = "pipeline_lib"
#: Left out: core/ moves bytes and computes none of them; config/'s values reach a stage as its options.
_PLUMBING = (f"{PACKAGE}.core.", f"{PACKAGE}.config.")


@functools.cache
def fingerprint(module: str, root: Path | None = None) -> str:
    """First 16 hex digits of a hash over the syntax trees of `module` and of all it imports inside pipeline_lib.

    Comments, docstrings, blank lines and layout don't count; names and constants do. Snakemake doesn't see imported
    modules (measured with 9.27), so rules carry this as a parameter.

    Args:
        module: dotted name, e.g. "pipeline_lib.features.s3d".
        root: folder that holds the package; default: where this package lies.
    """
    root = root or Path(__file__).parents[2]
    digest = hashlib.sha256()
    for name in sorted(dependencies(module, root)):
        digest.update(f"{name}\n{_read(_file(name, root), name).tree}\n".encode())
    return digest.hexdigest()[:16]


def dependencies(module: str, root: Path) -> set[str]:
    """`module` and every module of pipeline_lib it imports, directly or not, without the plumbing."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or f"{name}.".startswith(_PLUMBING) or not _exists(name, root):
            continue
        found.add(name)
        waiting.extend(_read(_file(name, root), name).imports)
    if module not in found:
        raise ValueError(f"no module {module} under {root}")
    return found


@dataclass(frozen=True)
class _Module:
    tree: str  # syntax tree as text, without docstrings and places
    imports: tuple[str, ...]  # dotted names inside the package; some may be functions rather than modules


_kept: dict[str, _Module] = {}  # by Python version, package and sha256 of the file


def remember(path: Path) -> None:
    """Keep what modules were read as in a file, for later processes: parsing all takes longer than planning 1000 jobs.

    An entry stands for a file's content, so it is never out of date. A missing or damaged file is made anew at exit.
    """
    with contextlib.suppress(UserError, OSError, TypeError, ValueError, AttributeError):
        found = {key: _Module(tree, tuple(imports)) for key, (tree, imports) in files.read_json(path).items()}
        _kept.update(found)
    before = set(_kept)

    def save() -> None:
        if not _kept.keys() <= before:
            with contextlib.suppress(OSError):
                files.write_json(path, {key: [one.tree, one.imports] for key, one in _kept.items()}, indent=None)

    atexit.register(save)


@functools.cache
def _read(file: Path, name: str) -> _Module:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    content = file.read_bytes()
    key = f"{sys.version_info.major}.{sys.version_info.minor} {package} {hashlib.sha256(content).hexdigest()}"
    if key not in _kept:
        _kept[key] = _parsed(content, package)
    return _kept[key]


def _parsed(content: bytes, package: str) -> _Module:
    tree = ast.parse(content)
    imports = tuple(_imports(tree, package))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _documented(node):
            node.body = node.body[1:]
    return _Module(ast.dump(tree), imports)


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _imports(tree: ast.AST, package: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base]).strip(".")
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [imported for imported in names if imported.split(".")[0] == PACKAGE]


def _file(name: str, root: Path) -> Path:
    path = root.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _exists(name: str, root: Path) -> bool:
    return _file(name, root).is_file()
