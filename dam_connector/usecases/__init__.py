"""The flow: what happens to a delivery, a product, a version. Each function is one use of the system; the pages, the API, the command line and the workers all call these."""
