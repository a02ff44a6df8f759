"""The web server's part that outlasts slow clients: a worker class for gunicorn."""
