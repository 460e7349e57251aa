"""Steps of other libraries in scikit-learn's pipelines: category_encoders, imbalanced-learn."""

import category_encoders
import mlflow
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_resampling_pipeline
from mlflow.models import infer_signature
from saved import FRAME, NUMBERS, RICH, save_all
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier


def saved(model, frame):
    def save(folder):
        model.fit(frame, RICH)
        example = frame.head(3)
        mlflow.sklearn.save_model(
            model,
            folder,
            signature=infer_signature(example, model.predict(example)),
            input_example=example,
            serialization_format="cloudpickle",
        )
        return example

    return save


def encoded(encoder):
    return saved(make_pipeline(encoder(cols=["city"]), LogisticRegression(max_iter=1000)), FRAME)


balanced = make_resampling_pipeline(
    RandomOverSampler(random_state=0), DecisionTreeClassifier(random_state=0)
)
save_all(
    {
        "encoded-by-target": encoded(category_encoders.TargetEncoder),
        "encoded-one-hot": encoded(category_encoders.OneHotEncoder),
        "encoded-by-evidence": encoded(category_encoders.WOEEncoder),
        "encoded-by-count": encoded(category_encoders.CountEncoder),
        "encoded-by-hash": encoded(category_encoders.HashingEncoder),
        "over-sampled": saved(balanced, NUMBERS),
    }
)
