"""The checker that tests/conftest.py puts on every annotated function: an int passes where a float is asked for."""

from beartype import BeartypeConf, beartype

enforce = beartype(conf=BeartypeConf(is_pep484_tower=True))
