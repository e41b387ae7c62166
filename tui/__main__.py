"""`python -m tui`: the same as `retrospan`."""

import sys

from tui.cli import main

sys.exit(main())
