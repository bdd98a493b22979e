"""``python -m avis_cli``: the same as ``avis``."""

from avis_cli.cli.main import run

if __name__ == "__main__":
    run()
