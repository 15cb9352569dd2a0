#!/bin/sh
# dmlbook: train trains and measures, embed keeps the vectors, search finds the neighbors of a new photograph.
set -e
root=$1 query=$2 weights=$3 out=$4 epochs=$6

python -m dmlbook train --data folder --root "$root" --size 128 --test-crop 1 --folder "$out/run" \
    --net mobilenet_v2 --width-mult 0.35 --weights "$weights" --preprocessing unit --bn-eps 0.001 \
    --loss softmax --loss-option scale=20 --epochs "$epochs" --milestones --crop-scale 0.3 1 \
    --batch-size 32 --lr 1e-4 --loss-lr 1e-2 --weight-decay 1e-4 --adam-eps 1e-8 --no-baseline
python -m dmlbook embed --run "$out/run" --root "$root" --out "$out/vectors.npz"
python -m dmlbook search --run "$out/run" --vectors "$out/vectors.npz" --query "$query" --most 5
