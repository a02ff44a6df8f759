"""Steps: one file each, with the function of the same name. worker/pipeline.py puts them in order."""
