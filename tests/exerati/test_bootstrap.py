"""First start: the environment makes itself, and each failure ends in one sentence that says what to do."""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from exerati import bootstrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def empty_environment(tmp_path_factory):
    """An environment without packages, to be copied, since making one takes seconds."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    bootstrap.make_venv(folder, sys.executable)
    return folder


@pytest.fixture
def environment(checkout, empty_environment):
    """The same checkout with an environment into which nothing is installed yet."""
    shutil.copytree(empty_environment, checkout / ".venv", symlinks=True)
    return checkout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose lock pins one tiny package, to be had from a folder beside it."""
    wheel = make_wheel(tmp_path / "wheels")
    write_lock(tmp_path, options=f"--no-index --find-links {wheel.parent}", digest=sha256(wheel))
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    return tmp_path


def make_wheel(folder):
    folder.mkdir()
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(
            "tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\n")
    return wheel


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_lock(folder, *, options, digest):
    (folder / "requirements.lock").write_text(
        f"{options}\ntiny==1.0 \\\n    --hash=sha256:{digest}\n"
    )


def make(checkout):
    bootstrap.make_environment(checkout / ".venv", ["requirements.lock"])


def has_package(checkout):
    return bootstrap.runs([str(checkout / ".venv" / "bin" / "python"), "-c", "import tiny"])


def failure_of(checkout):
    with pytest.raises(bootstrap.SetupError) as failure:
        make(checkout)
    return str(failure.value)


@pytest.mark.parametrize("name", ["manage.py", "exerati/bootstrap.py"])
def test_old_python_can_read_what_tells_it_that_it_is_too_old(name):
    ast.parse((ROOT / name).read_text(), feature_version=(3, 6))


def test_old_python_is_told_which_newer_one_to_use(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))

    with pytest.raises(
        bootstrap.SetupError, match=r"needs Python 3\.11 or newer and this is 3\.9: (run|install)"
    ):
        bootstrap.require_python(["manage.py", "up"])


@pytest.mark.parametrize(
    "python", sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python")), ids=str
)
def test_real_old_python_ends_in_one_sentence(python):
    done = subprocess.run([python, ROOT / "manage.py", "up"], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.startswith("Exerati needs Python 3.11 or newer")
    assert done.stderr.count("\n") == 1


def test_environment_is_made_once(checkout, capsys):
    make(checkout)
    printed = capsys.readouterr().out

    make(checkout)

    assert has_package(checkout)
    assert "[1/2] making .venv ..." in printed
    assert "[2/2] installing 1 packages ..." in printed
    assert capsys.readouterr().out == ""


def test_changed_lock_is_noticed(environment):
    make(environment)

    with (environment / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")

    assert not bootstrap.is_installed(environment / ".venv", ["requirements.lock"])


def test_half_made_environment_is_made_anew(checkout):
    inside = checkout / ".venv" / "bin"
    inside.mkdir(parents=True)
    (inside / "python").symlink_to("/nonexistent/python")

    make(checkout)

    assert has_package(checkout)


def test_two_starts_at_once_make_one_environment(checkout):
    code = f"""
from pathlib import Path
from exerati import bootstrap
bootstrap.ROOT = Path({str(checkout)!r})
bootstrap.make_environment(bootstrap.ROOT / ".venv", ["requirements.lock"])
"""
    starts = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = sorted(start.communicate()[0] for start in starts)

    assert [start.returncode for start in starts] == [0, 0]
    assert has_package(checkout)
    assert "[2/2]" in printed[0]
    assert printed[1].strip() in ("waiting for another run that is making .venv ...", "")


def test_registry_out_of_reach_is_said(environment, monkeypatch):
    write_lock(environment, options="--index-url http://127.0.0.1:1/simple", digest="0" * 64)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    assert failure_of(environment).startswith(
        "The package registry cannot be reached: check the network"
    )


def test_package_that_is_not_there_is_named(environment, monkeypatch):
    write_lock(environment, options=f"--no-index --find-links {environment}", digest="0" * 64)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    assert "no ready-made package of tiny==1.0" in failure_of(environment)


def test_package_that_differs_from_the_lock_is_refused(environment):
    write_lock(
        environment, options=f"--no-index --find-links {environment / 'wheels'}", digest="0" * 64
    )

    assert "differs from the locked one" in failure_of(environment)
    assert not bootstrap.is_installed(environment / ".venv", ["requirements.lock"])


def test_python_without_ensurepip_is_said(checkout, monkeypatch):
    (checkout / "broken").mkdir()
    (checkout / "broken" / "ensurepip.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(checkout / "broken"))

    assert "apt-get install python3-venv" in failure_of(checkout)


def test_folder_that_cannot_be_written_is_said(tmp_path):
    # Root may write anywhere but into the kernel's own file systems.
    folder = Path("/sys/exerati") if os.geteuid() == 0 else tmp_path / "read-only" / "exerati"
    if os.geteuid() != 0:
        folder.parent.mkdir(mode=0o500)

    with pytest.raises(bootstrap.SetupError, match="cannot be written: make the folder yours"):
        with bootstrap.writable(folder):
            folder.mkdir()


def test_development_lock_holds_all_of_the_other():
    def pins(lock):
        return {line for line in (ROOT / lock).read_text().splitlines() if "==" in line}

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
