"""``python -m pytest_duet``: the ``duet`` command where no script is installed.

Not for anything else.
"""

from pytest_duet.cli import main

main(prog_name="duet")
