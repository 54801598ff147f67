"""The command line: `imagewright serve`, `build`, `images`, `doctor`, `version`.

Modules are imported when a command is chosen, so that help and completion answer at once.
"""
