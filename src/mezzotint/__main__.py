"""`python -m mezzotint` is the command `mezzotint`."""

import sys

from mezzotint.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
