"""Products of the sample catalog, modelled in code, and the script that renders their photos."""
