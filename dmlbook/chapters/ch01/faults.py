"""Exercises 1.5 and 1.6: what learners get wrong, by name, and what each is told."""

from __future__ import annotations

NOT_A_NUMBER = (
    "The value or a slope is nan. Two usual reasons: 0 times infinity in a mask (`masked_fill` and `where` do not "
    "multiply), and a root, whose slope at 0 is infinite, on the diagonal."
)
MINING_FAULTS = {
    "the hardest": "You took the closest negative of all, the hardest. (1.11) takes the closest of those beyond the "
    "positive.",
    "the farthest": "You took the farthest negative, or one beyond the margin: the easy ones. Take the closest of "
    "those beyond the positive.",
    "the nearest to the positive": "You took the negative whose distance is most like the positive's. It must also be "
    "farther.",
    "as far as the positive": "A negative exactly as far as the positive is hard, not semi-hard: farther means >, not "
    ">=.",
    "the closest where none is farther": "Where no negative is farther than the positive, the rule takes the farthest "
    "one, not the closest.",
    "left out where none is farther": "Where no negative is farther than the positive, the pair is not left out: the "
    "rule takes the farthest negative.",
    "nothing where none is farther": "Where no negative is farther than the positive, the pair does not count 0: the "
    "rule takes the farthest negative.",
    "only within the margin": "You left out pairs without a negative inside the margin, as the table of kinds has it. "
    "(1.11) takes the closest beyond the positive, however far, and the farthest where none is: no pair is left out.",
    "all triplets": "You averaged over all triplets of the batch. Mining takes one negative a pair.",
    "the mean over active pairs": "You divided by the pairs that lose something. Divide by all pairs of anchor and "
    "positive, those that lose 0 too.",
    "a mask that multiplies": "The minimum is always 0: a mask that multiplies puts zeros where it hides, smaller than "
    "every distance. Hide behind infinity, with `masked_fill` or `where`.",
    "the farthest of any class": "Where no negative is farther, you took the farthest image of any class. Only "
    "negatives count.",
    "negatives of the own class": "You took all images but the anchor and the positive for negatives. Those of their "
    "class are none.",
    "the hinge of the mean": "The hinge stands around the mean. Each pair has its own; the mean is the last step.",
    "the costliest pair of an anchor": "You took one pair an anchor, the one that loses most. All pairs count.",
    "the mean over the whole table": "You divided by B times B. Divide by the number of the pairs of anchor and "
    "positive.",
    "the mean over images": "You divided by the number of images. Divide by that of the pairs of anchor and positive.",
    "the sum": "That is the sum over the pairs. Take their mean.",
    "pairs without order": "You took each pair once. Either image can be the anchor, with negatives of its own: all "
    "ordered pairs.",
    "the image with itself": "You took an image for its own positive. The anchor and the positive are two images.",
    "no hinge": "The hinge is missing: a pair that wins by more than the margin counts 0, not less.",
    "a margin's sign": "The margin has the wrong sign: the loss is positive minus negative plus margin.",
    "distances": "Those are plain distances. (1.11) and (1.10) take squared ones.",
    "cosines": "You compared cosines. A squared distance is 2 - 2 cosines: the same margin asks for twice as much.",
    "positive and negative swapped": "The signs are swapped: positives are to come closer, negatives to go away.",
    "measured from the positive": "You asked which negatives are far from the positive. All distances of (1.11) start "
    "at the anchor: the negative is farther from i than j is.",
    "a place in a shorter list": "You found a place in the list of the negatives alone, and took it for a number of "
    "the whole batch: argmin counts within what it is given.",
    "one positive an anchor": "You took one mean over the positives of an anchor. Each pair has its own negative and "
    "its own hinge; average after the hinge, not before.",
    "the mean of the anchors' means": "You averaged each anchor first. All pairs count alike: a class of more images "
    "has more of them.",
    "a soft hinge": "That is softplus, a hinge with a rounded corner. (1.10) is 0 from the margin on.",
    "a fixed margin": "You wrote 0.2. The margin is an argument.",
    "twice the margin": "The margin is charged twice. In (1.10) it already is that on squared distances, alpha.",
    "no gradient through the negative": "The value is right, its slope is not: the negative's distance was detached.",
    "no gradient through the positive": "The value is right, its slope is not: the positive's distance was detached.",
    "not a number": NOT_A_NUMBER,
}

HIDE = "What hides has to be larger than every distance, and squared ones on the sphere reach 4."
HARDEST_FAULTS = {
    "the bug itself": "The minimum is still always 0. Either zeros still hide the images of the own class, or these "
    "are the ones that are searched, and the closest is the anchor itself.",
    "the smallest that is not 0": "You took the smallest distance that is not 0. It may be that to an image of the own "
    "class, which is no negative.",
    "a zero taken for hidden": "You dropped every distance of 0 with the mask. A negative that lies exactly on its "
    "anchor is the closest there is.",
    "the diagonal alone hidden": "You hid the image itself alone. The closest that is left may be of the own class, "
    "and no negative.",
    "the farthest of any class": "You took the farthest image of any class. The positive is of the anchor's own.",
    "both of the batch": "You took one maximum and one minimum over the whole batch. Each anchor has its own.",
    "beyond the farthest positive": "You asked that the negative be farther than the positive, as in (1.11). Here it "
    "is the closest negative, hard ones too.",
    "beyond the farthest positive, or at 4": "You asked that the negative be farther than the positive, as in (1.11). "
    "Here it is the closest negative, hard ones too.",
    "the margin outside": "The margin stands outside the hinge. It belongs inside: far - close + margin, and then the "
    "hinge.",
    "a margin's sign": "The mask is right. The margin has the wrong sign: an anchor has to win by it.",
    "twice the margin": "The mask is right. The margin is charged twice.",
    "hidden behind the margin": f"You hid the own class behind the margin. {HIDE}",
    "the farthest negative": "You turned the minimum into a maximum. That is the farthest negative, the easiest.",
    "the mean negative": "You averaged over the negatives. Asked for: the closest.",
    "the closest of the batch": "You took one minimum over the whole batch. Each anchor has its own closest negative.",
    "the closest positive": "The closest positive now stands where the farthest belongs: that half had no bug.",
    "no hinge": "The mask is right, and the hinge is gone: an anchor that wins by more than the margin counts 0.",
    "the sum": "The mask is right. Take the mean over the anchors, not the sum.",
    "distances": "The mask is right. The distances are squared ones here.",
    "swapped": "The signs are swapped: positives are to come closer, negatives to go away.",
    "the margin forgotten": "The mask is right, and the margin is gone.",
    "no gradient through the negative": "The value is right, its slope is not: the negative's distance was detached.",
    "the mask's sign": "You hid the wrong side: the closest of the OWN class is subtracted now, and that is the anchor "
    "itself, or a positive.",
    "hidden behind a 1": f"You hid the own class behind a 1. {HIDE}",
    "hidden behind a 2": f"You hid the own class behind a 2. {HIDE}",
    "not a number": NOT_A_NUMBER,
    "the farthest pair of the batch": "You took one maximum over the whole batch. Each anchor has its own farthest "
    "positive.",
    "the mean positive": "You averaged over the positives. Asked for: the farthest, and that half had no bug.",
    "all positives": "You compared every positive with the closest negative. Asked for: the farthest one alone.",
    "the mean over active anchors": "The mask is right. Divide by all anchors, those that lose 0 too.",
    "the hinge of the mean": "The hinge stands around the mean. Each anchor has its own; the mean is the last step.",
    "a soft hinge": "The mask is right. That is softplus, a hinge with a rounded corner: (1.10) ends in a sharp one.",
    "a fixed margin": "The mask is right. You wrote 0.2; the margin is an argument.",
    "the semi-hard rule": "That is the loss of exercise 1.5. Here: the farthest positive, and the closest negative.",
}
