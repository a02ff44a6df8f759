"""Steps: one file each, the function named like the file. worker/pipeline.py says in which order."""
