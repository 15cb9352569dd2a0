"""How good is an embedding? Recall@K, R-precision, MAP@R, NMI and AMI: exact, in bounded memory, with their floors."""

from dmlbook.retrieval.clustering import Clustering, WithFloor, agreement, ami, clustering, nmi
from dmlbook.retrieval.kinds import kind_cosine, kind_recovery
from dmlbook.retrieval.ranks import map_at_r, r_precision, recall_at_k
from dmlbook.retrieval.scores import chance, evaluate

__all__ = [
    "Clustering",
    "WithFloor",
    "agreement",
    "ami",
    "chance",
    "clustering",
    "evaluate",
    "kind_cosine",
    "kind_recovery",
    "map_at_r",
    "nmi",
    "r_precision",
    "recall_at_k",
]
