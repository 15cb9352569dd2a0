"""dmlbook: the package under the workbook of deep metric learning. See README.md and ``python -m dmlbook check``."""

__version__ = "0.1.0"
