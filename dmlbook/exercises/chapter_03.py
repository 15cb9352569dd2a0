"""Exercises of chapter 03."""

from __future__ import annotations

from dmlbook.exercises.engine import Exercise

EXERCISES: tuple[Exercise, ...] = ()
