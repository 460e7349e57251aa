"""Lists, objects and maps in each row."""

import mlflow


class Baskets(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return [
            {
                "sum": float(sum(row["prices"])),
                "owner": row["owner"]["name"],
                "stock": {key: value * 2 for key, value in row["stock"].items()},
                "photo": len(row["photo"]),
            }
            for row in model_input.to_dict("records")
        ]


mlflow.models.set_model(Baskets())
