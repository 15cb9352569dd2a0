"""The commands behind ``python -m dmlbook``, one module each; the module's own text ends its ``--help``."""
