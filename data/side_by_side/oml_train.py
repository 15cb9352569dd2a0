"""open-metric-learning: ExtractorModule trains, EmbeddingMetrics measures, RetrievalResults searches."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from network import FEATURES, trunk
from oml.datasets import ImageBaseDataset, ImageLabeledDataset, ImageQueryGalleryLabeledDataset
from oml.inference import inference
from oml.interfaces.models import IExtractor
from oml.lightning.callbacks.metric import MetricValCallback
from oml.lightning.modules.extractor import ExtractorModule
from oml.losses.arcface import ArcFaceLoss
from oml.metrics.embeddings import EmbeddingMetrics
from oml.retrieval import RetrievalResults
from torch.utils.data import DataLoader
from torchvision import transforms

root, query, weights, out, seed, epochs = *sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6])
pl.seed_everything(seed)


class Extractor(IExtractor):
    """Features to unit embeddings; batch norm keeps the statistics of the pretraining."""

    def __init__(self):
        super().__init__()
        self.trunk, self.head = trunk(weights), torch.nn.Linear(FEATURES, self.feat_dim)

    @property
    def feat_dim(self):
        return 64

    def forward(self, images):
        return torch.nn.functional.normalize(self.head(self.trunk(images)))

    def train(self, mode=True):
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()
        return self


# data: the first half of the classes trains, the second half is measured
to_tensor = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
train_view = transforms.Compose(
    [transforms.RandomResizedCrop(128, scale=(0.3, 1)), transforms.RandomHorizontalFlip(), *to_tensor]
)
test_view = transforms.Compose([transforms.Resize(128), transforms.CenterCrop(128), *to_tensor])
paths = sorted(str(path) for path in Path(root).glob("*/*"))
frame = pd.DataFrame({"path": paths})
frame["label"] = frame["path"].map(lambda path: Path(path).parent.name).factorize()[0]
half = (frame["label"].max() + 1) // 2
frame["split"] = np.where(frame["label"] < half, "train", "validation")
frame["is_query"] = frame["is_gallery"] = frame["split"].map({"train": None, "validation": True})
train_frame, test_frame = (frame[frame["split"] == split].reset_index(drop=True) for split in ("train", "validation"))
train_set = ImageLabeledDataset(train_frame, transform=train_view)
test_set = ImageQueryGalleryLabeledDataset(test_frame, transform=test_view)

# train, and measure on classes that were not trained on
extractor, loss = Extractor(), ArcFaceLoss(in_features=64, num_classes=int(half), m=0.0, s=20.0)
groups = [{"params": extractor.parameters(), "lr": 1e-4}, {"params": loss.parameters(), "lr": 1e-2}]
module = ExtractorModule(extractor, loss, torch.optim.Adam(groups, weight_decay=1e-4))
metrics = EmbeddingMetrics(test_set, cmc_top_k=(1,), precision_top_k=(1,), map_top_k=(5,), verbose=False)
trainer = pl.Trainer(
    max_epochs=epochs,
    check_val_every_n_epoch=epochs,
    callbacks=[MetricValCallback(metrics)],
    num_sanity_val_steps=0,
    default_root_dir=out,
    accelerator="auto",
)
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
trainer.fit(module, train_loader, DataLoader(test_set, batch_size=32))
torch.save(extractor.state_dict(), f"{out}/model.pt")
print({name: float(value) for name, value in trainer.callback_metrics.items()})
vectors = inference(extractor, test_set, batch_size=32)
np.savez(f"{out}/vectors.npz", vectors=vectors.numpy(), labels=test_set.get_labels())

# search all photographs for the neighbors of a new one
gallery, new = ImageBaseDataset(paths, transform=test_view), ImageBaseDataset([query], transform=test_view)
found = RetrievalResults.from_embeddings_qg(
    inference(extractor, new, batch_size=1), inference(extractor, gallery, batch_size=32), new, gallery, n_items=5
)
for distance, index in zip(found.distances[0].tolist(), found.retrieved_ids[0].tolist(), strict=True):
    print(f"{distance:.3f} {paths[index]}")
