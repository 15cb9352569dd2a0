"""The thirteen methods of chapter 06 in one frame: who stands for a class, who pulls, who pushes, what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from dmlbook._checks import checked

REPRESENTATIVES = ("examples", "class means", "fixed points", "learned proxies", "several centers")
CHOICES = ("hard", "smooth", "mean")
ANYTHING = "any images"


@checked
@dataclass(frozen=True)
class Method:
    """What sets a method apart from the others.

    Attributes:
        title: As it is written in text and figures.
        year: Of its publication.
        source: Authors and venue.
        representatives: What stands for a class, one of ``REPRESENTATIVES``.
        pull: What pulls an image.
        push: What pushes it, and how many of them at once.
        smooth: ``"hard"`` where one is picked among several, so that its gradient jumps as another takes its place;
            ``"smooth"`` where all are weighed by how near they are; ``"mean"`` where all count alike.
        sampled: Whether its terms are built from the images of a batch, so that the batch decides what is seen.
        batch: What the batch must hold.
        removes: Pairs of an earlier method's name, and the need of it that this one removes.
    """

    title: str
    year: int
    source: str
    representatives: str
    pull: str
    push: str
    smooth: str
    sampled: bool
    batch: str
    removes: tuple[tuple[str, str], ...] = ()


METHODS: dict[str, Method] = {
    "triplet": Method(
        title="triplet",
        year=2015,
        source="Schroff, Kalenichenko and Philbin, CVPR",
        representatives="examples",
        pull="each image of its class",
        push="each image of another class that is nearer than the positive plus the margin",
        smooth="mean",
        sampled=True,
        batch="two images of a class, two classes",
    ),
    "semihard": Method(
        title="semi-hard",
        year=2015,
        source="Schroff, Kalenichenko and Philbin, CVPR",
        representatives="examples",
        pull="each image of its class",
        push="one image for each positive: the nearest one farther than it",
        smooth="hard",
        sampled=True,
        batch="two images of a class, two classes",
        removes=(("triplet", "triplets without a loss"),),
    ),
    "lifted": Method(
        title="lifted structure",
        year=2016,
        source="Oh Song, Xiang, Jegelka and Savarese, CVPR",
        representatives="examples",
        pull="each image of its class",
        push="all images of other classes, and all that push its positive",
        smooth="smooth",
        sampled=True,
        batch="two images of a class, two classes",
        removes=(("semihard", "one negative at a time"),),
    ),
    "npairs": Method(
        title="N-pairs",
        year=2016,
        source="Sohn, NIPS",
        representatives="examples",
        pull="the other image of its pair",
        push="one image of each other class in the batch",
        smooth="smooth",
        sampled=True,
        batch="two images of each class",
        removes=(("semihard", "one negative, and a margin"),),
    ),
    "clustering": Method(
        title="clustering",
        year=2017,
        source="Oh Song, Jegelka, Rathod and Murphy, CVPR",
        representatives="examples",
        pull="the best medoid of its class",
        push="the medoid of its cluster in the best wrong clustering",
        smooth="hard",
        sampled=True,
        batch="several images of several classes",
        removes=(("lifted", "a view of pairs alone"),),
    ),
    "proxy_nca": Method(
        title="Proxy-NCA",
        year=2017,
        source="Movshovitz-Attias, Toshev, Leung, Ioffe and Singh, ICCV",
        representatives="learned proxies",
        pull="its class's proxy, with constant weight",
        push="the proxies of all other classes",
        smooth="smooth",
        sampled=False,
        batch=ANYTHING,
        removes=(("semihard", "sampling triplets"),),
    ),
    "triplet_center": Method(
        title="triplet-center",
        year=2018,
        source="He, Zhou, Zhou, Bai and Bai, CVPR",
        representatives="class means",
        pull="its class's mean",
        push="the nearest mean of another class",
        smooth="hard",
        sampled=False,
        batch=ANYTHING,
        removes=(("semihard", "choosing examples"),),
    ),
    "softmax": Method(
        title="normalized SoftMax",
        year=2019,
        source="Zhai and Wu, BMVC; Qian et al., ICCV",
        representatives="learned proxies",
        pull="its class's proxy, the less the surer it is",
        push="the proxies of all other classes",
        smooth="smooth",
        sampled=False,
        batch=ANYTHING,
        removes=(("proxy_nca", "a pull that never weakens"),),
    ),
    "hardtriple": Method(
        title="HardTriple",
        year=2019,
        source="Qian, Shang, Sun, Hu, Li and Jin, ICCV",
        representatives="several centers",
        pull="the closest center of its class",
        push="the closest center of each other class",
        smooth="hard",
        sampled=False,
        batch=ANYTHING,
        removes=(("softmax", "one center a class"),),
    ),
    "softtriple": Method(
        title="SoftTriple",
        year=2019,
        source="Qian, Shang, Sun, Hu, Li and Jin, ICCV",
        representatives="several centers",
        pull="the centers of its class, the closest ones most",
        push="the centers of all other classes, the closest ones most",
        smooth="smooth",
        sampled=False,
        batch=ANYTHING,
        removes=(("hardtriple", "a hard choice of center"),),
    ),
    "centroid_bound": Method(
        title="centroid bound",
        year=2019,
        source="Do, Tran, Reid, Vijay Kumar, Hoang and Carneiro, CVPR",
        representatives="fixed points",
        pull="its class's fixed point, as hard near as far",
        push="the fixed points of all other classes, together a third as strong",
        smooth="mean",
        sampled=False,
        batch=ANYTHING,
        removes=(("triplet_center", "means to find again"), ("proxy_nca", "an error left out")),
    ),
    "proxy_anchor": Method(
        title="Proxy-Anchor",
        year=2020,
        source="Kim, Kim, Cho and Kwak, CVPR",
        representatives="learned proxies",
        pull="its class's proxy, hardest where it is the farthest of the batch",
        push="the proxies of all other classes, hardest where it is the nearest of the batch",
        smooth="smooth",
        sampled=True,
        batch="many images: the paper takes 180",
        removes=(("proxy_nca", "images that do not see one another"),),
    ),
    "subcenter_arcface": Method(
        title="Sub-center ArcFace",
        year=2020,
        source="Deng, Guo, Liu, Gong and Zafeiriou, ECCV",
        representatives="several centers",
        pull="the closest center of its class, short of an angle",
        push="the closest center of each other class",
        smooth="hard",
        sampled=False,
        batch=ANYTHING,
        removes=(("hardtriple", "a margin in cosines"),),
    ),
}
"""Every method that ``losses.make`` builds, in the order of years."""


def family_table() -> str:
    """All methods as a Markdown table, one row each, in the order of years.

    Source: the papers named in ``METHODS``. Chapter 6.

    Example:
        >>> print(family_table().splitlines()[2])
        | triplet | 2015 | examples | each image of its class | each image of another class that is nearer than the \
positive plus the margin | mean | yes: two images of a class, two classes |
    """
    head = ("method", "year", "representatives", "who pulls", "who pushes", "hard or smooth", "sampled?")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for method in METHODS.values():
        sampled = f"{'yes' if method.sampled else 'no'}: {method.batch}"
        cells = (method.title, str(method.year), method.representatives, method.pull, method.push, method.smooth)
        lines.append(f"| {' | '.join([*cells, sampled])} |")
    return "\n".join(lines)
