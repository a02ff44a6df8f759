"""The worker: makes pictures and models, checks them, pushes and publishes them. Never imports the web."""
