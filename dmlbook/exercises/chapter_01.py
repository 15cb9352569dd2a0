"""Exercises of chapter 01."""

from __future__ import annotations

from dmlbook.exercises.engine import Exercise

EXERCISES: tuple[Exercise, ...] = ()
