"""Training: the settings, the loop, checkpoints, and embeddings of whole sets."""

from dmlbook.training.config import TrainConfig
from dmlbook.training.embedding import embed
from dmlbook.training.heads import fit_head
from dmlbook.training.loop import fit
from dmlbook.training.result import FitResult

__all__ = ["FitResult", "TrainConfig", "embed", "fit", "fit_head"]
