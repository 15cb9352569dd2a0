"""What learners write in chapter 02: a solution of each exercise, and the wrong answers that its check must name."""

ANSWERS = {}
