"""How the sources of reports of leaked keys are written, wherever one is shown; pure."""

from typing import Final

# As their owners write them; a source is stored as it was told.
NAMES: Final = {
    "aws": "AWS",
    "bitbucket": "Bitbucket",
    "docker hub": "Docker Hub",
    "gitguardian": "GitGuardian",
    "github": "GitHub",
    "gitlab": "GitLab",
    "npm": "npm",
    "pypi": "PyPI",
    "trufflehog": "TruffleHog",
}


def at_the_start(source: str) -> str:
    """Return a source as the first words of a sentence."""
    return NAMES.get(source.strip().lower()) or f"{source[:1].upper()}{source[1:]}"
