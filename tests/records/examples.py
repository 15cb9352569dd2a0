"""Records that the tests of this folder share."""

from dmlbook import records


def filled(name="probe"):
    record = records.Record(name, "A probe", {"data": "birds", "loss": "softtriple", "scale": 20.0})
    record.add(2, {"map_at_r": 0.5, "nmi": 0.7}, seconds=3.14159)
    record.add(1, {"map_at_r": 0.4, "nmi": 0.6}, seconds=3.0)
    return record
