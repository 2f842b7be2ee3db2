"""What is sent to a cluster: the working directory without data, results and secrets, and scorefleet's own code."""

import hashlib
import io
import os
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import scorefleet
from scorefleet.tasks.errors import UsageError

MOST_BYTES = 20 * 2**20
MOST_FILES = 10_000
NOT_SENT = (".git", ".venv", "__pycache__", "*.egg-info", ".pytest_cache", ".ruff_cache", "node_modules", "runs",
            "mlruns", "mlflow.db", "*.log", "nohup.out")  # fmt: skip
SECRET = (".env", ".env.*", "*.env", ".envrc", ".netrc", ".pgpass", ".pypirc", ".npmrc", ".boto", ".s3cfg",
          ".git-credentials", ".ssh", ".aws", ".ray", ".gnupg", ".kube", ".docker", ".config", "kubeconfig",
          "auth_token", "credentials", "credentials.*", "secrets", "secrets.*", "service-account*.json", "*.pem",
          "*.key", "*.p12", "id_rsa*", "id_ed25519*", "id_ecdsa*")  # fmt: skip
PACKAGE = Path(scorefleet.__file__).resolve().parent
OWN_CODE = PACKAGE.parent


@dataclass(frozen=True)
class Parcel:
    """A zip archive that is the same bytes for the same files."""

    archive: bytes
    num_files: int
    num_bytes: int


def pack(folder: Path, left_out: Sequence[Path], also: Sequence[Path], secret: str) -> Parcel:
    """Everything below `folder` but `left_out`, what git ignores, links, and names that are results, caches or secrets;
    `also` goes whatever its name. A file in which `secret` stands is refused, and so is what is too large.
    """
    for place in left_out:
        if folder.is_relative_to(place):
            raise UsageError(
                f"{place} holds the folder that is sent, of which nothing would be left: name a folder inside of it"
            )
    files = {path.relative_to(folder).as_posix(): path for path in _chosen(folder, left_out)}
    files |= {path.relative_to(folder).as_posix(): path for path in also} | _own_code(folder)
    sizes = {name: path.stat().st_size for name, path in files.items()}
    _require_small(sizes)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            if secret and secret.encode() in content:
                raise UsageError(f"{name} holds the cluster's token, and is not sent: move it out of this folder")
            archive.writestr(_entry(name, path), content)
    return Parcel(packed.getvalue(), len(files), sum(sizes.values()))


def digest_of(archive: bytes, words: Sequence[str]) -> str:
    """What makes two submissions one: the files and the words."""
    digest = hashlib.sha256(archive)
    for word in words:
        digest.update(hashlib.sha256(word.encode()).digest())
    return digest.hexdigest()


def _chosen(folder: Path, left_out: Sequence[Path]) -> Iterator[Path]:
    environments = {path.parent for path in folder.glob("*/pyvenv.cfg")}
    out = {path.resolve() for path in left_out} | environments
    num_files = 0
    for path in _listed(folder):
        names = path.relative_to(folder).parts
        if any(fnmatch(name, pattern) for name in names for pattern in (*NOT_SENT, *SECRET)):
            continue
        if path.is_symlink() or not path.is_file() or out & {path, *path.parents}:
            continue
        num_files += 1
        if num_files > MOST_FILES:
            raise UsageError(f"{folder} holds more than {MOST_FILES:,} files: submit from the folder of the project")
        yield path


def _listed(folder: Path) -> Iterator[Path]:
    """Every file; in a git checkout those that git does not ignore."""
    command = ["git", "-C", str(folder), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"LC_ALL": "C"})
    except (OSError, subprocess.CalledProcessError) as error:
        _require_no_checkout(folder, error)
        for above, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in NOT_SENT)]
            yield from (Path(above, name) for name in names)
        return
    yield from (folder / os.fsdecode(name) for name in answer.stdout.split(b"\0") if name)


def _require_no_checkout(folder: Path, error: OSError | subprocess.CalledProcessError) -> None:
    """Where git cannot say what it ignores, such as in another's checkout, that would be sent too."""
    if isinstance(error, OSError):
        is_none, said = not any((above / ".git").exists() for above in (folder, *folder.parents)), "there is no git"
    else:
        said = error.stderr.decode(errors="replace").strip().partition("\n")[0][:120]
        is_none = "not a git repository" in said
    if not is_none:
        raise UsageError(f"git cannot list ignored files in {folder} ({said}), so nothing is sent: fix this") from error


def _own_code(folder: Path) -> dict[str, Path]:
    """The package that the command runs, so that here and there it is the same code."""
    theirs = folder / PACKAGE.name
    if theirs.exists() and theirs.resolve() != PACKAGE:
        raise UsageError(f"{theirs} has the name of scorefleet's package, which is sent too: rename it")
    places = (Path(above, name) for above, _, names in os.walk(PACKAGE, followlinks=True) for name in names)
    return {path.relative_to(OWN_CODE).as_posix(): path for path in places if path.suffix != ".pyc"}


def _require_small(sizes: dict[str, int]) -> None:
    total = sum(sizes.values())
    if total <= MOST_BYTES:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    raise UsageError(
        f"the working directory has {total / 2**20:.1f} MB without data and results, and at most "
        f"{MOST_BYTES // 2**20} MB are sent: the largest is {largest} ({sizes[largest] / 2**20:.1f} MB), which must go "
        "elsewhere, or into .gitignore in a git checkout"
    )


def _entry(name: str, path: Path) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
    return entry
