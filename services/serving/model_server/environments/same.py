"""Packages that install the same modules under other names."""

SAME = {
    "xgboost": ("xgboost-cpu",),
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tensorflow-macos"),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    "opencv-python": ("opencv-python-headless",),
    "opencv-contrib-python": ("opencv-contrib-python-headless",),
    "psycopg2": ("psycopg2-binary",),
    "faiss-cpu": ("faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12"),
    "pillow": ("pillow-simd",),
}
"""Packages by the name that the others count as."""

_COUNTS_AS = {other: name for name, others in SAME.items() for other in others}


def counts_as(name: str) -> str:
    """The name, canonical, that a package goes by here."""
    return _COUNTS_AS.get(name, name)


def names(name: str) -> tuple[str, ...]:
    """All that count as `name`, itself first."""
    return (name, *SAME.get(name, ()))
