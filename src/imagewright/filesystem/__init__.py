"""Filesystem states and changes to them, as values: the core of COPY, ADD, WORKDIR and the capture of RUN."""
