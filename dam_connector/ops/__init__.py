"""Operation of the service: supervisor, queue server, doctor, demo and document generator."""
