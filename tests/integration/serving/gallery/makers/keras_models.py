"""Keras 3, by the flavor for it and, where TensorFlow is what computes, by TensorFlow's."""

import keras
import mlflow
import numpy as np
from mlflow.models import infer_signature
from saved import AMOUNT, NUMBERS, save_all

keras.utils.set_random_seed(0)
VALUES = NUMBERS.to_numpy(np.float32)
SERIES = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)


def dense():
    model = keras.Sequential(
        [
            keras.layers.Input([2]),
            keras.layers.Normalization(mean=[40.0, 50.0], variance=[200.0, 300.0]),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    model.fit(VALUES, AMOUNT.to_numpy(np.float32), epochs=3, verbose=0)
    return model


def series():
    """A convolution and a recurrent layer, with two outputs beside each other."""
    start = keras.layers.Input([6, 2])
    seen = keras.layers.GRU(3)(keras.layers.Conv1D(4, 3, activation="relu")(start))
    both = keras.layers.Concatenate()([keras.layers.Dense(2, "softmax")(seen), seen])
    return keras.Model(start, both)


def saved(flavor, model, example):
    def save(folder):
        answers = model.predict(example, verbose=0)
        flavor.save_model(model, folder, signature=infer_signature(example, answers))
        return example

    return save


def saved_unsigned(folder):
    """Takes frames: a signature must be of tensors."""
    mlflow.keras.save_model(dense(), folder)
    return NUMBERS.head(3)


backend = keras.backend.backend()
models = {
    f"keras-{backend}": saved(mlflow.keras, dense(), VALUES[:3]),
    f"keras-{backend}-series": saved(mlflow.keras, series(), SERIES),
    f"keras-{backend}-unsigned": saved_unsigned,
}
if backend == "tensorflow":
    models |= {
        "tensorflow": saved(mlflow.tensorflow, dense(), VALUES[:3]),
        "tensorflow-series": saved(mlflow.tensorflow, series(), SERIES),
    }
save_all(models)
