"""The sample catalog's products, modelled in code, and the script that photographs them."""
