"""Which images make a batch. An epoch is a pure function of (seed, epoch): a resumed run replays it from any step."""

from __future__ import annotations

import copy

import torch

from dmlbook._checks import at_least, bad_input, check_labels, check_number, checked, finite, one_of
from dmlbook._types import Int, Tensor
from dmlbook.seeding import generator

SMALL_CLASSES = ("error", "repeat", "leave_out")


@checked(count=at_least(1), rank=at_least(0), world_size=at_least(1))
def places(count: int, rank: int, world_size: int) -> Int[Tensor, " b"]:
    """The places in a batch of ``count`` that one of several processes takes, as many in each.

    Where ``count`` cannot be cut evenly, the last place fills up what is missing at the end.

    Args:
        count: Images in the batch, >= 1.
        rank: This process, 0 to ``world_size`` - 1.
        world_size: Number of processes, >= 1.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> [places(5, rank, 2).tolist() for rank in (0, 1)]
        [[0, 1, 2], [3, 4, 4]]
    """
    check_number(low=0, high=world_size - 1, integer=True, rank=rank)
    each = -(-count // world_size)
    return torch.arange(rank * each, (rank + 1) * each).clamp(max=count - 1)


class _Batches:
    """What both kinds of batches share: the whole epoch is drawn alike in every process, and each cuts out its part."""

    rank, world_size = 0, 1
    batch_size: int
    seed: int

    @checked(world_size=at_least(1))
    def shard(self, rank: int, world_size: int) -> _Batches:
        """The same batches, each cut to the part of one of several processes; the parts together are the whole batch.

        Args:
            rank: This process, 0 to ``world_size`` - 1.
            world_size: Number of processes. All parts have one size, so that the mean of the parts' mean losses is the
                loss of the batch.

        Raises:
            ValueError: A batch cannot be cut into ``world_size`` equal parts.
        """
        check_number(low=0, high=world_size - 1, integer=True, rank=rank)
        self._check_cut(world_size)
        part = copy.copy(self)
        part.rank, part.world_size = int(rank), world_size
        return part

    @checked(epoch=at_least(0))
    def batches(self, epoch: int) -> list[Int[Tensor, " B"]]:
        """Index tensors of all batches of an epoch, in their order; ``batches(epoch)[step:]`` goes on after ``step``.

        Args:
            epoch: Any number from 0; earlier epochs need not have been drawn.
        """
        whole = self._draw(generator(self.seed, type(self).__name__, epoch))
        return [batch[places(len(batch), self.rank, self.world_size)] for batch in whole]

    def _check_cut(self, world_size: int) -> None:
        raise NotImplementedError

    def _draw(self, random: torch.Generator) -> list[Tensor]:
        raise NotImplementedError


class UniformBatches(_Batches):
    """Shuffled images cut into batches: every image once an epoch.

    Where a last batch would hold one image, that image joins the batch before it: alone it has no other to be compared
    with, no spread for batch norm to measure, and yet as large a step as a full batch.

    Args:
        images: Number of images N, or their labels (N,), of which only the number matters.
        batch_size: Images a batch, B.
        seed: Any integer.
        drop_last: Leave out the last batch of an epoch where it would hold fewer than B images.

    Raises:
        ValueError: A number is out of range, labels are no integers, or ``drop_last`` would leave no batch.

    Example:
        >>> batches = UniformBatches(10, batch_size=4, seed=1)
        >>> len(batches), [len(batch) for batch in batches.batches(epoch=0)]
        (3, [4, 4, 2])
    """

    @checked(batch_size=at_least(1), seed=finite)
    def __init__(self, images: int | Int[Tensor, " N"], batch_size: int, seed: int, drop_last: bool = False) -> None:
        count = len(check_labels(images)) if isinstance(images, Tensor) else images
        check_number(low=1, integer=True, images=count)
        count = int(count)
        if drop_last and count < batch_size:
            got = f"{batch_size} for {count} images"
            remedy = "With drop_last=True no batch would be left: choose a smaller one."
            raise bad_input("batch_size", "be at most the number of images", got, remedy)
        self.count, self.batch_size, self.seed, self.drop_last = count, batch_size, seed, drop_last

    def __len__(self) -> int:
        """Steps an epoch."""
        return self.count // self.batch_size if self.drop_last or self._joined else -(-self.count // self.batch_size)

    @property
    def _joined(self) -> bool:
        """Whether the last image of an epoch joins the batch before it."""
        return not self.drop_last and self.count > self.batch_size > 1 == self.count % self.batch_size

    def _check_cut(self, world_size: int) -> None:
        last = 0 if self.drop_last else self.count % self.batch_size
        if self.batch_size % world_size or last % world_size:
            got = f"{world_size} for batches of {self.batch_size}" + (f", the last of {last}" if last else "")
            remedy = "Choose another batch size" + (", or drop_last=True." if last else ".")
            raise bad_input("world_size", "divide every batch", got, remedy)

    def _draw(self, random: torch.Generator) -> list[Tensor]:
        batches = list(torch.randperm(self.count, generator=random).split(self.batch_size))
        if self._joined:
            batches[-2] = torch.cat(batches[-2:])
        return batches[: len(self)]


class ClassBatches(_Batches):
    """Batches of ``batch_size / samples_per_class`` classes with m = ``samples_per_class`` different images of each.

    Each epoch shuffles every class and cuts it into groups of m; where m does not divide the class, its last group is
    filled with images of its first group. So an epoch shows every image once, and fewer than m of each class twice, but
    for what no batch has room for: fewer groups than one batch holds, and of a class so large that it has more groups
    than the epoch has batches, all beyond one a batch. Which images these are is drawn anew each epoch.

    A batch lists its classes one after the other. Classes are drawn with probabilities in proportion to the groups that
    they have left, except that a class which must be in every batch left is.

    Args:
        labels: Class of each image (N,), any integers of any width.
        batch_size: Images a batch, a multiple of ``samples_per_class``.
        samples_per_class: Images of one class in a batch, m.
        seed: Any integer.
        small_classes: What to do with classes of fewer than m images: ``"error"``; ``"repeat"``: repeat their images
            within the group, as evenly as can be; ``"leave_out"``: never show them.

    Raises:
        ValueError: m does not divide the batch; labels are no integers; there are fewer classes than a batch needs; a
            class is too small.

    Example:
        >>> batches = ClassBatches(torch.tensor([7, 7, 7, 7, 8, 8, 8, 8]), batch_size=4, samples_per_class=2, seed=1)
        >>> len(batches), sorted(torch.cat(batches.batches(epoch=0)).tolist())
        (2, [0, 1, 2, 3, 4, 5, 6, 7])
    """

    @checked(batch_size=at_least(1), samples_per_class=at_least(1), seed=finite, small_classes=one_of(*SMALL_CLASSES))
    def __init__(
        self,
        labels: Int[Tensor, " N"],
        batch_size: int,
        samples_per_class: int,
        seed: int,
        *,
        small_classes: str = "error",
    ) -> None:
        if batch_size % samples_per_class:
            got = f"{batch_size} with {samples_per_class} a class"
            raise bad_input("batch_size", "be a multiple of samples_per_class", got, "Change one of them.")
        values, classes, sizes = torch.unique(check_labels(labels).cpu(), return_inverse=True, return_counts=True)
        small = sizes < samples_per_class
        if small_classes == "error" and small.any():
            got = f"{int(small.sum())} of {len(sizes)} classes with fewer, the first with label {int(values[small][0])}"
            remedy = 'Choose small_classes="repeat" or "leave_out".'
            raise bad_input("labels", f"have {samples_per_class} images a class", got, remedy)
        self.classes, self.sizes = classes, sizes
        self.batch_size, self.samples_per_class, self.seed = batch_size, samples_per_class, seed
        self.groups = -(-sizes // samples_per_class)  # of each class, (C,)
        if small_classes == "leave_out":
            self.groups[small] = 0
        self.classes_per_batch = batch_size // samples_per_class
        usable = int((self.groups > 0).sum())
        if usable < self.classes_per_batch:
            got = f"{usable}, and batches of {self.classes_per_batch}"
            remedy = "Choose a smaller batch, or more images a class."
            raise bad_input("labels", "hold as many classes as a batch", got, remedy)
        self._steps = self._count_steps()

    def __len__(self) -> int:
        """Steps an epoch: as many batches of different classes as the groups allow."""
        return self._steps

    def _count_steps(self) -> int:
        """The largest S for which the groups, at most S of each class, fill S batches; found by halving."""
        low, high = 1, int(self.groups.sum()) // self.classes_per_batch
        while low < high:
            middle = (low + high + 1) // 2
            enough = int(self.groups.clamp(max=middle).sum()) >= middle * self.classes_per_batch
            low, high = (middle, high) if enough else (low, middle - 1)
        return low

    def _check_cut(self, world_size: int) -> None:
        if self.classes_per_batch % world_size:
            got = f"{world_size} for {self.classes_per_batch} classes a batch"
            raise bad_input("world_size", "divide the classes of a batch", got, "Choose another batch size.")

    def _draw(self, random: torch.Generator) -> list[Tensor]:
        m, ends = self.samples_per_class, self.sizes.cumsum(0)
        shuffled = torch.randperm(len(self.classes), generator=random)
        shuffled = shuffled[self.classes[shuffled].argsort(stable=True)]  # class by class, shuffled within each
        left, batches = self.groups.clone(), []
        for steps_left in range(len(self), 0, -1):
            keys = torch.empty(len(left)).exponential_(generator=random)  # smallest keys / weights: a weighted draw
            keys = torch.where(left >= steps_left, -1 / (1 + keys), keys / left)  # first those due in every batch left
            chosen = keys.topk(self.classes_per_batch, largest=False).indices
            chosen = chosen[torch.randperm(len(chosen), generator=random)]  # no process gets the large classes alone
            places = ((self.groups - left)[chosen, None] * m + torch.arange(m)) % self.sizes[chosen, None]
            batches.append(shuffled[(ends - self.sizes)[chosen, None] + places].flatten())
            left[chosen] -= 1
        return batches
