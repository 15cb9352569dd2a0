"""Training: the settings, the loop, checkpoints, and embeddings of whole sets."""

from dmlbook.training.checkpoints import Checkpoints
from dmlbook.training.config import TrainConfig
from dmlbook.training.devices import Place
from dmlbook.training.embedding import embed
from dmlbook.training.loop import fit
from dmlbook.training.report import Report
from dmlbook.training.result import FitResult
from dmlbook.training.sources import Features
from dmlbook.training.views import Views

__all__ = ["Checkpoints", "Features", "FitResult", "Place", "Report", "TrainConfig", "Views", "embed", "fit"]
