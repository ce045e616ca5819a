"""``python -m lastref.conformance.cli``: the same program as ``lastref``."""

import sys

from lastref.conformance.cli.app import main

sys.exit(main())
