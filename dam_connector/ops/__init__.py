"""Operating the service: supervisor, queue server, doctor, demo and document generator."""
