"""What all losses share: the call, the checks at the door, and arithmetic in full precision."""

from __future__ import annotations

import torch
from torch import nn

from dmlbook import seeding
from dmlbook._checks import at_least, bad_input, check_batch, check_memory, checked
from dmlbook._checks.shapes import INTEGERS
from dmlbook._types import Float, Int, Tensor
from dmlbook.geometry import normalize
from dmlbook.losses.mined import check_classes, mined_indices
from dmlbook.losses.references import ITSELF, References


class Loss(nn.Module):
    """A loss called as ``loss(embeddings, labels) -> scalar``, the mean over the batch.

    The convention is that of pytorch-metric-learning: ours run in its trainers. Under autocast, or on half-precision
    embeddings, a loss computes in float32: rounding to bfloat16 would turn small distances negative. An embedding that
    is not finite makes the loss NaN, whichever pairs the loss looks at, so that a guard of a training run sees it.

    Every loss can be differentiated twice, and in forward mode, and ``torch.func.vmap`` runs it over embeddings of one
    size; not over labels, whose values are looked at, and not the clustering loss, which searches. Both say so.

    Subclasses write ``compute``; those with ``compares_images`` are also handed ``references`` and ``mined`` there.
    """

    compares_images = False
    """Whether it is made of pairs of images: a miner may choose them, and references be their other ends."""
    why_alone = "This loss samples nothing"
    """Why it takes neither, where it does not."""
    images_per_class: int | None = None
    """How many images of a class a batch should hold; None: any batch will do."""
    num_classes: int | None = None
    embedding_size: int | None = None

    def __call__(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        if ref_labels is labels and isinstance(labels, Tensor) and labels.dtype in INTEGERS - {torch.int64}:
            labels = ref_labels = labels.long()  # once: that they are the same object means something
        chosen = (indices_tuple, ref_emb, ref_labels)
        return super().__call__(embeddings, labels, *(chosen if any(each is not None for each in chosen) else ()))

    @checked
    def forward(
        self,
        embeddings: Float[Tensor, "B D"],
        labels: Int[Tensor, " B"],
        indices_tuple: tuple | None = None,
        ref_emb: Float[Tensor, "M D"] | None = None,
        ref_labels: Int[Tensor, " M"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of a batch, by itself or against references.

        Args:
            embeddings: One row an image. Losses on the unit sphere normalize them first.
            labels: Class numbers, 0 to ``num_classes - 1`` where the loss knows its classes.
            indices_tuple: What a pytorch-metric-learning miner returned: triplets, or pairs of both kinds. Anchors are
                images of the batch, the other ends are references, or of the batch where there are none. None: all.
            ref_emb: References, one row each, such as a memory of former batches. Anchors come from the batch, their
                positives and negatives from here. One that is a copy of its anchor is a positive like any other, and a
                miner's indices leave it out: as ``cross_batch_memory`` does.
            ref_labels: Their classes. Where it is the very tensor ``labels``, row i of both is one image, and no pair.

        Raises:
            ValueError: Shapes, types or class numbers do not fit, or indices or references reach a loss that does not
                compare images, or only one of the references' arguments is given.
        """
        labels = check_batch(embeddings, labels, num_classes=self.num_classes)
        self._check_columns(embeddings)
        if indices_tuple is None and ref_emb is None and ref_labels is None:
            return self._valued(embeddings, labels)
        if not self.compares_images:
            given = {"indices_tuple": indices_tuple, "ref_emb": ref_emb, "ref_labels": ref_labels}
            name, value = next((name, value) for name, value in given.items() if value is not None)
            what = "miner" if name == "indices_tuple" else "references"
            raise bad_input(name, "be None", type(value).__name__, f"{self.why_alone}: leave the {what} out.")
        if (ref_emb is None) != (ref_labels is None):
            absent, present = ("ref_emb", "ref_labels") if ref_emb is None else ("ref_labels", "ref_emb")
            raise bad_input(absent, f"come with {present}", None, "Give embeddings and classes of the references.")
        if ref_emb is not None and ref_emb.device != embeddings.device:
            got = f"references on {ref_emb.device} and embeddings on {embeddings.device}"
            raise bad_input("ref_emb", "be on the embeddings' device", got, "Call ref_emb.to(embeddings.device).")
        own = ref_labels is None or ref_labels is labels
        others = len(labels) if ref_emb is None else len(ref_emb)
        mined = None if indices_tuple is None else mined_indices(indices_tuple, len(labels), others)
        if mined is not None and not own:
            check_classes(mined, labels, ref_labels)
        alone = own and (ref_emb is None or ref_emb is embeddings)
        references = ITSELF if alone else References(ref_emb, None if own else ref_labels)
        return self._valued(embeddings, labels, references=references, mined=mined)

    def _valued(self, embeddings: Tensor, labels: Tensor, **chosen: object) -> Float[Tensor, ""]:
        """``compute`` in full precision; 0 or NaN is added: no choice of pairs may pass over an image that is lost."""
        with torch.autocast(embeddings.device.type, enabled=False):
            full = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
            seen = [full.detach()]
            if chosen and chosen["references"].embeddings is not None:
                others = chosen["references"].embeddings.to(full.dtype)
                chosen["references"] = chosen["references"]._replace(embeddings=others)
                seen.append(others.detach())
            value = self.compute(full, labels, **chosen)
            for lost in seen:
                value = value + (lost - lost).sum()
            return value

    def _check_columns(self, embeddings: Tensor) -> None:
        if self.embedding_size is not None and embeddings.shape[1] != self.embedding_size:
            rule = f"have embedding_size = {self.embedding_size} columns"
            remedy = "Make the loss with the network's embedding size."
            raise bad_input("embeddings", rule, embeddings.shape[1], remedy)

    def compute(self, embeddings: Float[Tensor, "B D"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        raise NotImplementedError


class CenterLoss(Loss):
    """A loss with learned centers: K unit vectors for each of C classes.

    They are parameters, so the optimizer needs them beside the network's: ``training.fit`` sees to it; in a loop of
    your own pass ``[*net.parameters(), *loss.parameters()]``. Their start is drawn by ``generator``, or else by the
    book's, ``seeding.generator(SEED, "centers")``: it never depends on torch's global state, nor changes it.

    In half precision they are cast to the precision of the loss before they are normalized.

    Source: start as in SoftTriple's official code, uniform in +-1 / sqrt(C K), and normalized at each use.
    """

    why_alone = "It compares images with centers, not with one another"

    @checked(
        num_classes=at_least(2, "A loss tells classes apart."),
        embedding_size=at_least(1),
        centers_per_class=at_least(1),
    )
    def __init__(
        self, num_classes: int, embedding_size: int, centers_per_class: int, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        if embedding_size == 1 and num_classes > 2:
            remedy = "A line has two directions: raise the size, or keep two classes."
            raise bad_input("embedding_size", "be at least 2 for more than two classes", embedding_size, remedy)
        sizes = {"num_classes": num_classes, "embedding_size": embedding_size, "centers_per_class": centers_per_class}
        check_memory(float(num_classes) * embedding_size * centers_per_class, "loss", **sizes)
        generator = seeding.generator(seeding.SEED, "centers") if generator is None else generator
        self.num_classes, self.embedding_size = num_classes, embedding_size
        bound = (num_classes * centers_per_class) ** -0.5
        start = torch.rand(centers_per_class, num_classes, embedding_size, generator=generator)
        # (K, C, D), the centers outermost: passes over K then run along C, many times faster on a CPU.
        self.weight = nn.Parameter((2 * start - 1) * bound)

    @property
    def centers(self) -> Float[Tensor, "C K D"]:
        """The centers as unit vectors, in float32 or float64; gradients reach the parameters through them."""
        return self._unit_centers(torch.float32).transpose(0, 1)

    @checked
    def similarities(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B C K"]:
        """Cosine of each embedding and each center, in [-1, 1]."""
        self._check_columns(embeddings)
        unit = normalize(embeddings)
        centers = self._unit_centers(unit.dtype).to(unit.dtype)
        return (unit @ centers.flatten(0, 1).T).unflatten(1, centers.shape[:2]).transpose(1, 2)

    def _unit_centers(self, dtype: torch.dtype) -> Float[Tensor, "K C D"]:
        """Normalized in the finer of this precision and their own: a rounded unit vector is none any more."""
        return normalize(self.weight.to(torch.promote_types(self.weight.dtype, dtype)))

    def extra_repr(self) -> str:
        per_class, classes, size = self.weight.shape
        return f"num_classes={classes}, centers_per_class={per_class}, embedding_size={size}"
