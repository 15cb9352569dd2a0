"""What learners write in chapter 05: a solution of each exercise, and the wrong answers that its check must name."""

ANSWERS = {}
