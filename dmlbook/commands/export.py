"""Writes a trained run as a file that other programs run: ONNX, or PyTorch's own; checked against the network."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook.commands import common, uses
from dmlbook.use import exporting
from dmlbook.use.trained import load_run

ABOUT = """\
The file takes pictures as bytes and gives embeddings, for batches of any size. Inside are the crop, the resize, the
colors and the network. Outside is the reading of a picture: upright RGB, all of it squeezed to a square of the side
that the file names (antialiased, bilinear), and its width / height beside it.

examples
  python -m dmlbook export --run runs/birds-softtriple --format onnx --out birds.onnx   (pip install -e ".[export]")
  python -m dmlbook export --run runs/birds-softtriple --format pt2 --out birds.pt2

in Python
  session = onnxruntime.InferenceSession("birds.onnx")
  told = json.loads(session.get_modelmeta().custom_metadata_map["dmlbook"])      # classes, view, model
  S = told["view"]["decoded"]
  picture = ImageOps.exif_transpose(Image.open("new.jpg")).convert("RGBA")       # transparent pixels hide colors:
  picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")  # on white
  pixels = np.asarray(picture.resize((S, S), Image.Resampling.BILINEAR)).transpose(2, 0, 1)[None]
  aspect = np.array([picture.width / picture.height], np.float32)
  (vectors,) = session.run(["embeddings"], {"images": pixels, "aspects": aspect})
"""


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser)
    parser.add_argument("--format", choices=exporting.FORMATS, help="what to write (default: as --out ends)")
    parser.add_argument("--out", required=True, help="the file to write, such as birds.onnx or birds.pt2")


@checked
def run(options: Namespace) -> int:
    named = Path(options.out).suffix.lower().removeprefix(".")
    kind = options.format or (named if named in exporting.FORMATS else "onnx")
    if named != kind:
        remedy = f"Call it {Path(options.out).stem}.{kind}." if options.format else "The name says the format."
        known = f".{kind}" if options.format else " or ".join(f".{each}" for each in exporting.FORMATS)
        raise bad_input("--out", f"end in {known}", options.out, remedy)
    exporting.check_installed(kind)
    common.check_file(Path(options.out), "--out")
    trained = load_run(options.run, trust_code=options.trust_code)
    differ = exporting.export(trained, options.out, format=kind)
    size = Path(options.out).stat().st_size / 1e6
    print(f"{options.out} ({size:.1f} MB): its embeddings differ from the network's by {differ:.1g} at most")
    print(f"images: uint8 (batch, 3, {trained.size}, {trained.size}), aspects: float32 (batch)")
    return 0
