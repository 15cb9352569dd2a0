"""What is said of each fault in the loops of chapter 07."""

from __future__ import annotations

LOOP_FAULTS = {
    "the centers were forgotten": "The centers are in no group, or in it as copies, which state_dict() gives: they "
    "stay where they were drawn, and nothing says so. They are parameters of the loss: loss.parameters().",
    "the network was forgotten": "Only the loss's own weights move. The optimizer needs net.parameters(), too.",
    "one rate for all": "Everything learns at lr. The centers need loss_lr: a second group with its own rate.",
    "the loss's rate for all": "Everything learns at loss_lr. The network needs lr: a group with its own rate.",
    "rates swapped": "The rates are swapped: the network learns at lr, the loss's centers at loss_lr.",
    "slopes add up": "The slopes of all steps so far add up: backward() adds to .grad. Clear it in every step.",
    "nothing moves": "No weight has moved. Is step() called after backward(), with the slopes not cleared between the "
    "two? And does the optimizer hold net.parameters() themselves? (state_dict() gives copies that never get a slope.)",
    "an optimizer a step": "A new optimizer in every step: Adam's memory of former slopes is lost. Make one, before "
    "the loop.",
    "uphill": "The loss rises: a sign is turned. An optimizer goes down by itself.",
    "plain descent": "That is plain descent (SGD). The task asks for Adam.",
}
RARE_LOOP_FAULTS = {
    "momentum": "That is descent with momentum (SGD). The task asks for Adam.",
    "weight decay": "That is AdamW, which pulls all weights towards 0. The task asks for Adam, without weight decay.",
    "a little decay": "Nearly right, but with a weight decay: it pulls weights towards 0. The task asks for none.",
    "more decay": "Adam, but with a weight decay, which pulls all weights towards 0. The task asks for none.",
    "the papers' epsilon": "Adam, but with an eps of 0.01. The task asks for all else as torch has it: leave eps out.",
    "a group without a rate": "The group of the centers has no rate: torch then takes 0.001. Give it loss_lr.",
    "graphs are kept": "All else is right, but your losses are tensors that hold the graph of their step: memory grows "
    "with every step. Keep a number: float(value.detach()).",
    "copies were trained": "The losses are right, but the network and the loss that came in have not moved: you "
    "trained copies of them. Train them in place.",
    "times the size of the batch": "You multiplied the loss by the number of images. It is a mean over them already.",
    "the centers' slopes add up": "The slopes of the loss's centers add up over all steps: net.zero_grad() does not "
    "clear them. Clear both, or let the optimizer do it.",
    "measured after the step": "Those are the losses after each step. Return those that the steps were taken from; "
    "another pass in training also enters batch norm's statistics.",
    "one batch alone": "One batch is all that was trained on: does return or break stand inside the loop?",
    "means so far": "You returned the mean of the losses so far. The task asks for the loss of each step.",
}
IN_EVALUATION = (
    "The network was left in evaluation, as it came: batch norm then uses its stored statistics and never renews them. "
    "Call net.train() first."
)

BUG_FAULTS = {
    "an optimizer an epoch": "A new optimizer in every epoch: Adam's memory of former slopes is lost. Make one, before "
    "the loops.",
    "slopes add up": "The slopes of all steps so far add up: backward() adds to .grad. Clear it in every step.",
    "the centers were forgotten": "The centers are not in the optimizer any more: they are loss.parameters().",
    "nothing moves": "No weight has moved: are backward() and step() still there, and nothing under no_grad?",
    "evaluation after a batch": "net.eval() stands inside the loop over batches: only the first batch of an epoch "
    "trains in training mode.",
    "a score a batch": "You measured after every batch. The task asks for one score after each epoch.",
    "measured on training images": "You measured the last batch of training. The score is that of the held-out images.",
    "percent": "Those are percent. Recall@1 is a share here, as recall_at_k gives it.",
    "training from the second batch on": "net.train() comes after a step: each later epoch's first batch still runs "
    "in evaluation. Call it before the first batch.",
    "ten times the rate for the centers": "The centers have a rate of their own. One rate for all is meant here: lr.",
    "0.03 for the centers": "The centers have a rate of their own. One rate for all is meant here: lr.",
    "the first epoch alone": "Only the first epoch was trained: does return stand inside the loop over epochs?",
}
