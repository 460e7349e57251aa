"""scikit-learn's predictions repeated without its checks at every call: numpy for preprocessing and
linear models, ONNX Runtime for ensembles of trees.

| module     | holds                                                                  |
| ---------- | ---------------------------------------------------------------------- |
| engine     | the way in: an engine found, proven, and asked                         |
| plan       | which step repeats which estimator; pipelines and column transformers  |
| transforms | scalers, imputers, encoders                                            |
| linear     | linear models                                                          |
| trees      | trees and their ensembles                                              |
| ensemble   | all the trees of a model as one ONNX graph                             |
| proof      | an engine held against its model                                       |
| rows       | rows on their way through the steps                                    |
| sampling   | rows on which an engine that is not equal would show it                |
"""
