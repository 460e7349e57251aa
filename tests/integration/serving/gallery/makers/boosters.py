"""CatBoost with words, and older releases of XGBoost and LightGBM."""

import mlflow
import xgboost
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMRegressor
from mlflow.models import infer_signature
from saved import AMOUNT, FRAME, NUMBERS, RICH, save_all
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SMALL = {"iterations": 5, "verbose": False, "allow_writing_files": False, "thread_count": 1}


def saved(flavor, model, frame):
    def save(folder):
        example = frame.head(3)
        signature = infer_signature(example)
        flavor.save_model(model, folder, signature=signature, input_example=example)
        return example

    return save


def saved_step(folder):
    example = NUMBERS.head(3)
    mlflow.sklearn.save_model(
        step,
        folder,
        signature=infer_signature(example),
        input_example=example,
        serialization_format="cloudpickle",
    )
    return example


words = CatBoostClassifier(**SMALL, cat_features=["city"]).fit(FRAME, RICH)
numbers = CatBoostRegressor(**SMALL).fit(NUMBERS, AMOUNT)
step = make_pipeline(StandardScaler(), CatBoostRegressor(**SMALL)).fit(NUMBERS, AMOUNT)
boosted = xgboost.XGBRegressor(n_estimators=5).fit(NUMBERS, AMOUNT)
light = LGBMRegressor(n_estimators=5, verbose=-1).fit(NUMBERS, AMOUNT)
save_all(
    {
        "catboost-words": saved(mlflow.catboost, words, FRAME),
        "catboost": saved(mlflow.catboost, numbers, NUMBERS),
        "catboost-step": saved_step,
        "xgboost": saved(mlflow.xgboost, boosted, NUMBERS),
        "lightgbm": saved(mlflow.lightgbm, light, NUMBERS),
    }
)
