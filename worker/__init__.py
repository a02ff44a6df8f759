"""The worker: makes pictures and models, checks them, pushes and publishes them. It never imports the web."""

import os

# Before numpy is imported. A worker has one core, and the threads of BLAS wait for each other busily.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
