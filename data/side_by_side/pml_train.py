"""pytorch-metric-learning: MetricLossOnly trains, GlobalEmbeddingSpaceTester measures, InferenceModel searches."""

import sys

import numpy as np
import torch
from network import FEATURES, trunk
from PIL import Image
from pytorch_metric_learning import losses, testers, trainers
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel
from torch.utils.data import Subset
from torchvision import datasets, transforms

root, query, weights, out, seed, epochs = *sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6])
torch.manual_seed(seed)

# data: the first half of the classes trains, the second half is measured
to_tensor = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
train_view = transforms.Compose(
    [transforms.RandomResizedCrop(128, scale=(0.3, 1)), transforms.RandomHorizontalFlip(), *to_tensor]
)
test_view = transforms.Compose([transforms.Resize(128), transforms.CenterCrop(128), *to_tensor])
train_folder, test_folder = datasets.ImageFolder(root, train_view), datasets.ImageFolder(root, test_view)
half = len(train_folder.classes) // 2
train_set = Subset(train_folder, [i for i, label in enumerate(train_folder.targets) if label < half])
test_set = Subset(test_folder, [i for i, label in enumerate(test_folder.targets) if label >= half])

# train
net, embedder = trunk(weights), torch.nn.Linear(FEATURES, 64)
loss = losses.NormalizedSoftmaxLoss(num_classes=half, embedding_size=64, temperature=0.05)
trainers.MetricLossOnly(
    models={"trunk": net, "embedder": embedder},
    optimizers={
        "trunk_optimizer": torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-4),
        "embedder_optimizer": torch.optim.Adam(embedder.parameters(), lr=1e-4, weight_decay=1e-4),
        "metric_loss_optimizer": torch.optim.Adam(loss.parameters(), lr=1e-2, weight_decay=1e-4),
    },
    batch_size=32,
    loss_funcs={"metric_loss": loss},
    dataset=train_set,
    dataloader_num_workers=0,
    freeze_trunk_batchnorm=True,
).train(num_epochs=epochs)
torch.save({"trunk": net.state_dict(), "embedder": embedder.state_dict()}, f"{out}/model.pt")

# measure on classes that were not trained on
calculator = AccuracyCalculator(include=("precision_at_1", "mean_average_precision_at_r"), k="max_bin_count")
tester = testers.GlobalEmbeddingSpaceTester(accuracy_calculator=calculator, dataloader_num_workers=0)
print(tester.test({"test": test_set}, epochs, net, embedder)["test"])
vectors, labels = tester.get_all_embeddings(test_set, net, embedder)
np.savez(f"{out}/vectors.npz", vectors=vectors.cpu().numpy(), labels=labels.squeeze(1).cpu().numpy())

# search all photographs for the neighbors of a new one
model = InferenceModel(net, embedder)
model.train_knn(test_folder)
distances, found = model.get_nearest_neighbors(test_view(Image.open(query).convert("RGB"))[None], k=5)
for distance, index in zip(distances[0].tolist(), found[0].tolist(), strict=True):
    print(f"{distance:.3f} {test_folder.samples[index][0]}")
