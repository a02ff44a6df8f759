"""The worker: makes pictures and models, checks them, pushes and publishes them. Never imports the web."""

import os

for _library in (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
):  # before numpy: a worker has one core, and BLAS' threads wait for each other busily
    os.environ.setdefault(_library, "1")
