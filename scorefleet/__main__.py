"""`python -m scorefleet` is the command `scorefleet`."""

import sys

from scorefleet.pipelines.cli import main

if __name__ == "__main__":
    sys.exit(main())
