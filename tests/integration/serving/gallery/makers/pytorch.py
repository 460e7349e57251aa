"""PyTorch in each of the forms that its flavor saves: exported, pickled, scripted."""

import mlflow
import numpy as np
import torch
from mlflow.models import infer_signature
from saved import AMOUNT, NUMBERS, save_all

torch.manual_seed(0)
torch.set_num_threads(1)
VALUES = NUMBERS.to_numpy(np.float32)


def trained():
    """Two layers, dropout between them, after some steps."""
    layers = torch.nn.Sequential(
        torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1)
    )
    optimizer = torch.optim.Adam(layers.parameters(), 0.05)
    wanted = torch.tensor(AMOUNT.to_numpy(np.float32)).unsqueeze(1)
    for _ in range(50):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layers(torch.tensor(VALUES)), wanted).backward()
        optimizer.step()
    return layers.eval()


class Signal(torch.nn.Module):
    """A convolution and a recurrent layer, over a series of two channels."""

    def __init__(self):
        super().__init__()
        self.look = torch.nn.Conv1d(2, 4, 3, padding=1)
        self.follow = torch.nn.GRU(4, 3, batch_first=True)

    def forward(self, series):
        seen = torch.relu(self.look(series.transpose(1, 2))).transpose(1, 2)
        return self.follow(seen)[1].squeeze(0)


def saved(model, example, kind):
    def save(folder):
        answers = model(torch.tensor(example)).detach().numpy()
        mlflow.pytorch.save_model(
            model,
            folder,
            signature=infer_signature(example, answers),
            input_example=example,
            serialization_format=kind,
        )
        return example

    return save


def saved_for_frames(folder):
    example = NUMBERS.head(3).astype("float32")
    model = trained()
    mlflow.pytorch.save_model(
        model, folder, signature=infer_signature(example), serialization_format="pickle"
    )
    return example


SERIES = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
save_all(
    {
        "torch-exported": saved(trained(), VALUES[:3], "pt2"),
        "torch-pickled": saved(trained(), VALUES[:3], "pickle"),
        "torch-scripted": saved(torch.jit.script(trained()), VALUES[:3], "pickle"),
        "torch-series": saved(Signal().eval(), SERIES, "pt2"),
        "torch-frames": saved_for_frames,
    }
)
