"""How good is an embedding? Recall@K, R-precision, MAP@R, NMI and AMI: exact, in bounded memory, with their floors."""

from dmlbook.retrieval.clustering import Clustering, WithFloor, agreement, ami, clustering, nmi
from dmlbook.retrieval.in_a_batch import class_batch_shares, first_rank, neighbor_chance, neighbor_share, triplet_share
from dmlbook.retrieval.modes import mode_cosine, mode_recovery
from dmlbook.retrieval.ranks import map_at_r, r_precision, recall_at_k
from dmlbook.retrieval.scores import chance, evaluate

__all__ = [
    "Clustering",
    "WithFloor",
    "agreement",
    "ami",
    "chance",
    "class_batch_shares",
    "clustering",
    "evaluate",
    "first_rank",
    "map_at_r",
    "mode_cosine",
    "mode_recovery",
    "neighbor_chance",
    "neighbor_share",
    "nmi",
    "r_precision",
    "recall_at_k",
    "triplet_share",
]
