"""What runs inside a worker process: requests read, rows merged, predictions made and written.

| folder       | holds                                                           |
| ------------ | --------------------------------------------------------------- |
| mlflow       | MLflow's scoring protocol                                       |
| v2           | the Open Inference Protocol                                     |
| fast         | the engine: scikit-learn's predictions without its checks       |
| independence | whether rows are independent, so that requests may be merged    |

What is beside them serves all protocols; `scorer` is the way in.
"""
