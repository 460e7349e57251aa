"""What Compose gives the service."""

VARIABLES = {
    "TRACKING_BACKEND_STORE": "postgresql+psycopg2://mlflow@postgres:5432/mlflow",
    "TRACKING_ARTIFACT_STORE": "s3://mlflow",
    "BACKUP_KEEP": "last=3",
}
