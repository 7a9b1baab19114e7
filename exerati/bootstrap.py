"""
First start: makes the project's own `.venv` from the lock files and starts again inside it.

Standard library only, and written so that Python 3.6 can still read it and say that it is too old.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
DEV_COMMANDS = ("test", "check_all")
STAMP = "installed-locks"
# Stripe's OpenAPI document, which its stand-in answers by; its package must come without what it asks for.
STRIPE_LOCK = "requirements-stripe.lock"

# What pip says -> what to do. First match wins; the order goes from the particular to the general.
INSTALL_FAILURES = (
    (
        r"No space left on device",
        "The disk is full: free about 500 MB, then run the same command again.",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "The package registry served a file that differs from the locked one: use another registry "
        "(PIP_INDEX_URL), then run the same command again.",
    ),
    (
        r"NewConnectionError|ConnectTimeout|Failed to establish|Connection refused|Name or service"
        r"|name resolution|ProxyError|SSLError|Read timed out|Network is unreachable|Max retries",
        "The package registry cannot be reached: check the network, or name a registry of your own "
        "with PIP_INDEX_URL, then run the same command again.",
    ),
    (
        r"No matching distribution found for (\S+)",
        "The package registry has no ready-made package of {0} for this system and Python {python}: "
        "use Linux or macOS on x86-64 or arm64 with Python 3.11 to 3.13, or name another registry with PIP_INDEX_URL.",
    ),
    (
        r"Permission denied",
        "The folder {venv} cannot be written: make it yours, then run the same command again.",
    ),
)


class SetupError(Exception):
    """Set-up cannot go on; the message is one sentence that says what to do."""


def enter_environment(argv: List[str]) -> None:
    """Return if this process runs inside the up-to-date `.venv`; otherwise make it so and start again there."""
    main_lock = (
        "requirements-dev.lock" if argv[1:2] and argv[1] in DEV_COMMANDS else "requirements.lock"
    )
    locks = [main_lock, STRIPE_LOCK]
    venv = ROOT / ".venv"
    try:
        require_python(argv)
        if not is_installed(venv, locks):
            make_environment(venv, locks)
    except SetupError as error:
        sys.exit(str(error))
    if Path(sys.prefix).resolve() == venv.resolve():
        return
    sys.stdout.flush()
    python = str(python_of(venv))
    os.execv(python, [python, str(ROOT / "manage.py"), *argv[1:]])  # noqa: S606  no shell is wanted


def require_python(argv: List[str]) -> None:
    """Raise SetupError on a Python or system that Exerati cannot run on, naming a better Python if there is one."""
    if os.name != "posix":
        raise SetupError("Exerati runs on Linux and macOS; on Windows, run it inside WSL.")
    if sys.version_info >= OLDEST_PYTHON:
        return
    newer = newer_python()
    advice = (
        "run `%s %s`" % (newer, " ".join(["manage.py", *argv[1:]])) if newer else "install it first"
    )
    raise SetupError(
        "Exerati needs Python 3.11 or newer and this is %d.%d: %s."
        % ((*sys.version_info[:2], advice))
    )


def newer_python(oldest: Tuple[int, int] = OLDEST_PYTHON) -> Optional[str]:
    """Return the name of a working Python on PATH that is at least `oldest`, or None."""
    for minor in range(14, oldest[1] - 1, -1):
        name = "python3.%d" % minor
        # A pyenv shim may be on PATH and yet refuse to run, so only a run proves it.
        if shutil.which(name) and runs([name, "-c", ""]):
            return name
    return None


def is_installed(venv: Path, locks: List[str]) -> bool:
    """Return whether the stamp of `venv` names every one of `locks` as it is now."""
    try:
        stamped = (venv / STAMP).read_text().splitlines()
    except OSError:
        return False
    return all(stamp_line(lock) in stamped for lock in locks)


def stamp_line(lock: str) -> str:
    """Return the line of the stamp that says `lock` is installed as it is now."""
    return "%s %s" % (lock, hashlib.sha256((ROOT / lock).read_bytes()).hexdigest())


def make_environment(venv: Path, locks: List[str], python: str = sys.executable) -> None:
    """Make or complete `venv` with `python` and install `locks` into it; safe to run twice at once."""
    with writable(venv), only_one(venv):
        if is_installed(venv, locks):  # the run we waited for has done it
            return
        stamp = venv / STAMP
        if stamp.exists():
            stamp.unlink()
        with step(1, 2, "making %s" % venv.name):
            make_venv(venv, python)
        with step(2, 2, "installing %d packages" % sum(map(package_count, locks))):
            for lock in locks:
                install(venv, lock)
        stamp.write_text("".join("%s\n" % line for line in stamp_lines(locks)))


def stamp_lines(locks: List[str]) -> List[str]:
    """Return the stamp after installing `locks`; the development lock holds all of the other one."""
    names = list(locks) + (["requirements.lock"] if "requirements-dev.lock" in locks else [])
    return [stamp_line(name) for name in names]


def make_venv(venv: Path, python: str) -> None:
    """Make `venv` unless it already holds a working Python with pip."""
    inside = str(python_of(venv))
    if (
        venv.exists()
        and runs([inside, "-c", "import sys; sys.exit(sys.version_info < %r)" % (OLDEST_PYTHON,)])
        and runs([inside, "-m", "pip", "--version"])
    ):
        return
    if not runs([python, "-c", "import ensurepip, venv"]):
        raise SetupError(
            "This Python lacks venv and pip: install them (on Debian and Ubuntu `apt-get install python3-venv`), "
            "then run the same command again."
        )
    done = subprocess.run(
        [python, "-m", "venv", "--clear", str(venv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise SetupError(
            "Python could not make %s (%s): install Python's venv module, or use another Python 3.11 or newer."
            % (venv, last_line(done.stdout.decode(errors="replace")))
        )


def install(venv: Path, lock: str) -> None:
    """Install exactly what `lock` says, checking every hash; raise SetupError with what to do if that fails."""
    command = [
        str(python_of(venv)),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "install",
        "--quiet",
    ]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r", str(ROOT / lock)]
    # Only when it retries does pip say why a registry did not answer.
    command += ["--retries", "3"]
    # A user-wide pip setting that installs elsewhere would leave the environment empty.
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    }
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise SetupError(install_failure(done.stdout.decode(errors="replace"), venv))


def install_failure(output: str, venv: Path) -> str:
    """Return the sentence for what pip printed."""
    for pattern, sentence in INSTALL_FAILURES:
        match = re.search(pattern, output)
        if match:
            return sentence.format(
                *match.groups(), venv=venv, python="%d.%d" % sys.version_info[:2]
            )
    return "The packages could not be installed (%s): remove %s and run the same command again." % (
        last_line(output),
        venv,
    )


def package_count(lock: str) -> int:
    """Return how many packages `lock` pins."""
    return len(re.findall(r"^[A-Za-z0-9][^\s=]*==", (ROOT / lock).read_text(), flags=re.MULTILINE))


def python_of(venv: Path) -> Path:
    """Return the path of the Python inside `venv`."""
    return venv / "bin" / "python"


def runs(command: List[str]) -> bool:
    """Return whether `command` can be started and succeeds."""
    try:
        return (
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
            == 0
        )
    except OSError:
        return False


def last_line(text: str) -> str:
    """Return the last line of `text` that says anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn a folder that cannot be written into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise SetupError(
            "%s cannot be written: make the folder yours, or copy the checkout to one that is, then run the same "
            "command again." % (error.filename or folder)
        ) from error


@contextlib.contextmanager
def only_one(venv: Path) -> Iterator[None]:
    """Hold the set-up lock, waiting for another set-up to end; the system frees it if we are killed."""
    import fcntl  # not at the top, so that Windows gets its sentence

    (ROOT / ".exerati").mkdir(mode=0o711, exist_ok=True)
    with open(str(ROOT / ".exerati" / "set-up.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run that is making %s ..." % venv.name, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def step(number: int, total: int, what: str) -> Iterator[None]:
    """Print `[number/total] what ...` and, when it is done, the seconds it took."""
    print("[%d/%d] %s ..." % (number, total, what), end=" ", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print("%.1f s" % (time.monotonic() - started), flush=True)
