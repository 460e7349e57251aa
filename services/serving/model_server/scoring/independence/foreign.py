"""Classes of other libraries that answer each row from that row alone, by their full names: most
are not installed here. Checked in the source of the release named.
"""

from __future__ import annotations

ROWWISE = {
    # XGBoost 3.2: each row walks the trees, or is multiplied by the weights of gblinear; a custom
    # objective or metric is for fit, and dart drops trees in training only.
    "xgboost.core.Booster",
    *(f"xgboost.sklearn.XGB{kind}" for kind in ("Classifier", "Regressor", "Ranker", "Model")),
    *(f"xgboost.sklearn.XGBRF{kind}" for kind in ("Classifier", "Regressor")),
    # LightGBM 4.7: likewise, early stopping of predictions is by row.
    "lightgbm.basic.Booster",
    *(f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Regressor", "Ranker", "Model")),
    # CatBoost 1.2: likewise; statistics of categories and texts are those of fit.
    "catboost.core.CatBoost",
    *(f"catboost.core.CatBoost{kind}" for kind in ("Classifier", "Regressor", "Ranker")),
    # category_encoders 2.11: each value by a mapping of fit. Those with sigma or randomized draw
    # numbers only when they are given y. Not here: GLMM and Hashing (processes), the wrappers.
    *(
        f"category_encoders.{module}.{name}"
        for module, name in (
            ("backward_difference", "BackwardDifferenceEncoder"),
            ("basen", "BaseNEncoder"),
            ("binary", "BinaryEncoder"),
            ("cat_boost", "CatBoostEncoder"),
            ("count", "CountEncoder"),
            ("gray", "GrayEncoder"),
            ("helmert", "HelmertEncoder"),
            ("james_stein", "JamesSteinEncoder"),
            ("leave_one_out", "LeaveOneOutEncoder"),
            ("m_estimate", "MEstimateEncoder"),
            ("one_hot", "OneHotEncoder"),
            ("ordinal", "OrdinalEncoder"),
            ("polynomial", "PolynomialEncoder"),
            ("quantile_encoder", "QuantileEncoder"),
            ("quantile_encoder", "SummaryEncoder"),
            ("sum_coding", "SumEncoder"),
            ("target_encoder", "TargetEncoder"),
            ("woe", "WOEEncoder"),
        )
    ),
}

PIPELINES = {"imblearn.pipeline.Pipeline"}
"""Whose steps with `fit_resample` take no part in predictions; the others are looked at."""
