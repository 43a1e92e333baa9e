"""`python -m gateway.testing.kills`."""

import sys

from gateway.testing.kills.run import main

if __name__ == "__main__":
    sys.exit(main())
