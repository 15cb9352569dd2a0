"""Exercise 0.3: what guessing scores, and what learners count instead."""

from __future__ import annotations

from collections.abc import Sequence

from dmlbook.book.exercises import Case, Exercise, Misconception


def _chance_cases() -> Sequence[Case]:
    return [
        Case((c, n), (n - 1) / (c * n - 1), f"num_classes = {c}, per_class = {n}")
        for c, n in [(2, 2), (10, 5), (100, 60)]
    ]


EXERCISES = (
    Exercise(
        "0.3",
        "what guessing scores",
        _chance_cases,
        {
            "one in C": Misconception(
                lambda num_classes, per_class: 1 / num_classes,
                "1 / C would be right if the query could find itself. Take it out: one image fewer of its class, "
                "and one fewer in all.",
            ),
            "self only out of the total": Misconception(
                lambda num_classes, per_class: per_class / (num_classes * per_class - 1),
                "You took the query out of the total, but it also leaves its own class: n - 1 right answers remain.",
            ),
            "self only out of the class": Misconception(
                lambda num_classes, per_class: (per_class - 1) / (num_classes * per_class),
                "You took the query out of its class, but it also leaves the list: N - 1 images remain.",
            ),
            "one in N": Misconception(
                lambda num_classes, per_class: 1 / (num_classes * per_class - 1),
                "That is the chance of one particular image. Any of the n - 1 others of the class is right.",
            ),
            "one class fewer": Misconception(
                lambda num_classes, per_class: 1 / (num_classes - 1),
                "No class drops out: the query leaves the list, and its class still has n - 1 images there.",
            ),
            "one image of all": Misconception(
                lambda num_classes, per_class: 1 / (num_classes * per_class),
                "That is the chance to draw one particular image, with the query still in its list. Any of the n - 1 "
                "others of its class is right, of N - 1.",
            ),
            "one image of its class": Misconception(
                lambda num_classes, per_class: 1 / per_class,
                "That is one image of one class. How many in the list are right, and how many are there in all?",
            ),
            "the query out of the classes": Misconception(
                lambda num_classes, per_class: (per_class - 1) / (num_classes - 1),
                "You divided images by classes. Divide the right images by all that are in the list: N - 1.",
            ),
            "no parentheses": Misconception(
                lambda num_classes, per_class: per_class - 1 / (num_classes * per_class - 1),
                "Division comes before subtraction: put n - 1 in parentheses.",
            ),
            "no parentheses below": Misconception(
                lambda num_classes, per_class: (per_class - 1) / num_classes * per_class - 1,
                "Without parentheses only the first factor divides: put all of C n - 1 in them.",
            ),
            "images by classes": Misconception(
                lambda num_classes, per_class: per_class / num_classes,
                "You divided images of one class by classes. Divide the right images by all that are in the list.",
            ),
            "classes by images": Misconception(
                lambda num_classes, per_class: num_classes / (num_classes * per_class - 1),
                "You counted classes above. How many images of the query's own class are in the list?",
            ),
            "the miss": Misconception(
                lambda num_classes, per_class: (num_classes - 1) * per_class / (num_classes * per_class - 1),
                "That is the chance that the first image is wrong. Subtract it from 1.",
            ),
            "in percent": Misconception(
                lambda num_classes, per_class: 100 * (per_class - 1) / (num_classes * per_class - 1),
                "That is in percent. A chance is a fraction in [0, 1].",
            ),
            "the query's two sides swapped": Misconception(
                lambda num_classes, per_class: (num_classes - 1) / (num_classes * per_class - 1),
                "You took one from the number of classes. The query leaves its own class, of n - 1 others.",
            ),
            "the class drawn first": Misconception(
                lambda num_classes, per_class: (per_class - 1) / (num_classes * (num_classes * per_class - 1)),
                "The query's class is given, and need not be drawn: no 1 / C before the chance.",
            ),
            "right against wrong": Misconception(
                lambda num_classes, per_class: (per_class - 1) / ((num_classes - 1) * per_class),
                "You divided the right images by the wrong ones. A chance divides by all that are in the list: N - 1.",
            ),
            "within the class": Misconception(
                lambda num_classes, per_class: (per_class - 1) / per_class,
                "That looks at one class alone. The list holds the images of all classes.",
            ),
            "another class": Misconception(
                lambda num_classes, per_class: 1 - 1 / num_classes,
                "That is the chance of another class, and with the query in its own list. Ask for its own, without it.",
            ),
        },
    ),
)
