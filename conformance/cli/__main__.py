"""``python -m lastref.conformance.cli``: the same program as ``lastref``."""

import sys

from lastref.conformance.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
