"""The tools of `dam-worker` for work by hand, one command a file. docs/tools.md documents their JSON."""
