"""Which of scikit-learn's own classes answer each row from that row alone, and why.

Read from the source of scikit-learn 1.9. Keys are the subpackage and the name, since modules move
between releases. What holds of `predict` holds of `predict_proba`, `decision_function`,
`transform` and `inverse_transform`, too, unless said. "To rounding": where a row's numbers come
from a product of matrices, BLAS adds up in another order for another number of rows.

tests/unit/serving/scoring/independence/test_independence.py fails when a release brings a class
that is on neither table.
"""

from __future__ import annotations

ROWWISE: dict[str, str] = {
    """the row times coef_, plus intercept_, and a function of each number or an argmax of each row;
    to rounding""": """
        linear_model.ARDRegression linear_model.BayesianRidge linear_model.ElasticNet
        linear_model.ElasticNetCV linear_model.GammaRegressor linear_model.HuberRegressor
        linear_model.Lars linear_model.LarsCV linear_model.Lasso linear_model.LassoCV
        linear_model.LassoLars linear_model.LassoLarsCV linear_model.LassoLarsIC
        linear_model.LinearRegression linear_model.LogisticRegression
        linear_model.LogisticRegressionCV linear_model.MultiTaskElasticNet
        linear_model.MultiTaskElasticNetCV linear_model.MultiTaskLasso
        linear_model.MultiTaskLassoCV linear_model.OrthogonalMatchingPursuit
        linear_model.OrthogonalMatchingPursuitCV linear_model.PassiveAggressiveClassifier
        linear_model.PassiveAggressiveRegressor linear_model.Perceptron
        linear_model.PoissonRegressor linear_model.QuantileRegressor linear_model.Ridge
        linear_model.RidgeCV linear_model.RidgeClassifier linear_model.RidgeClassifierCV
        linear_model.SGDClassifier linear_model.SGDOneClassSVM linear_model.SGDRegressor
        linear_model.TheilSenRegressor linear_model.TweedieRegressor linear_model._RidgeGCV
        linear_model._BaseRidgeCV svm.LinearSVC svm.LinearSVR
        discriminant_analysis.LinearDiscriminantAnalysis
        cross_decomposition.CCA cross_decomposition.PLSCanonical
        cross_decomposition.PLSRegression cross_decomposition.PLSSVD""",
    """the row times components_, to rounding""": """
        decomposition.FactorAnalysis decomposition.FastICA decomposition.IncrementalPCA
        decomposition.MiniBatchSparsePCA decomposition.PCA decomposition.SparsePCA
        decomposition.TruncatedSVD neighbors.NeighborhoodComponentsAnalysis
        random_projection.GaussianRandomProjection random_projection.SparseRandomProjection""",
    """the expected hidden units, a function of the row times components_""": """
        neural_network.BernoulliRBM""",
    """layer after layer, each the row times coefs_ and a function of each number or a softmax of
    each row; to rounding""": """
        neural_network.MLPClassifier neural_network.MLPRegressor""",
    """each row walks each tree alone""": """
        tree.DecisionTreeClassifier tree.DecisionTreeRegressor tree.ExtraTreeClassifier
        tree.ExtraTreeRegressor ensemble.ExtraTreesClassifier ensemble.ExtraTreesRegressor
        ensemble.GradientBoostingClassifier ensemble.GradientBoostingRegressor
        ensemble.HistGradientBoostingClassifier ensemble.HistGradientBoostingRegressor
        ensemble._BinMapper ensemble.IsolationForest ensemble.RandomForestClassifier
        ensemble.RandomForestRegressor ensemble.RandomTreesEmbedding""",
    """the row's kernel with the fitted rows, times what was fitted; names of kernels are all of
    pairs of rows, to rounding""": """
        svm.NuSVC svm.NuSVR svm.OneClassSVM svm.SVC svm.SVR kernel_ridge.KernelRidge
        gaussian_process.GaussianProcessClassifier gaussian_process.GaussianProcessRegressor
        gaussian_process._BinaryGaussianProcessClassifierLaplace
        kernel_approximation.Nystroem decomposition.KernelPCA
        preprocessing.KernelCenterer semi_supervised.LabelPropagation
        semi_supervised.LabelSpreading""",
    """each row on its own: random weights were drawn by fit""": """
        kernel_approximation.AdditiveChi2Sampler kernel_approximation.PolynomialCountSketch""",
    """the row's distances to fitted rows, see `NEIGHBORS`""": """
        neighbors.KNeighborsClassifier neighbors.KNeighborsRegressor
        neighbors.KNeighborsTransformer neighbors.LocalOutlierFactor neighbors.NearestNeighbors
        neighbors.RadiusNeighborsClassifier neighbors.RadiusNeighborsRegressor
        neighbors.RadiusNeighborsTransformer neighbors.KernelDensity manifold.Isomap
        manifold.LocallyLinearEmbedding""",
    """the row's distances to fitted centres, to rounding""": """
        cluster.AffinityPropagation cluster.Birch cluster.BisectingKMeans cluster.KMeans
        cluster.MeanShift cluster.MiniBatchKMeans neighbors.NearestCentroid""",
    """the row's densities under fitted distributions, to rounding""": """
        mixture.BayesianGaussianMixture mixture.GaussianMixture naive_bayes.BernoulliNB
        naive_bayes.CategoricalNB naive_bayes.ComplementNB naive_bayes.GaussianNB
        naive_bayes.MultinomialNB discriminant_analysis.QuadraticDiscriminantAnalysis
        covariance.EllipticEnvelope""",
    """each document's topics until they stand still, in a loop of its own, from ones""": """
        decomposition.LatentDirichletAllocation""",
    """each number by what was fitted of its column, or by its row""": """
        preprocessing.Binarizer preprocessing.KBinsDiscretizer preprocessing.MaxAbsScaler
        preprocessing.MinMaxScaler preprocessing.Normalizer preprocessing.OneHotEncoder
        preprocessing.OrdinalEncoder preprocessing.PolynomialFeatures
        preprocessing.PowerTransformer preprocessing.QuantileTransformer
        preprocessing.RobustScaler preprocessing.SplineTransformer preprocessing.StandardScaler
        preprocessing.TargetEncoder impute.MissingIndicator impute.SimpleImputer
        isotonic.IsotonicRegression calibration._SigmoidCalibration""",
    """columns chosen by fit""": """
        feature_selection.GenericUnivariateSelect feature_selection.RFE feature_selection.RFECV
        feature_selection.SelectFdr feature_selection.SelectFpr
        feature_selection.SelectFromModel feature_selection.SelectFwe
        feature_selection.SelectKBest feature_selection.SelectPercentile
        feature_selection.SequentialFeatureSelector feature_selection.VarianceThreshold""",
    """each row's groups of columns pooled, see `POOLING`""": """
        cluster.FeatureAgglomeration""",
    """each text or dict by itself, weighed and normalised by its own row""": """
        feature_extraction.CountVectorizer feature_extraction.DictVectorizer
        feature_extraction.FeatureHasher feature_extraction.HashingVectorizer
        feature_extraction.TfidfTransformer feature_extraction.TfidfVectorizer""",
    """each number by a function, see `ELEMENTWISE`""": """
        preprocessing.FunctionTransformer""",
    """the same for every row; see `NO_DRAWS`""": """
        dummy.DummyClassifier dummy.DummyRegressor multiclass._ConstantPredictor""",
    """labels back from numbers, by the row's argmax or threshold: only ever a part of a
    classifier, whose targets they took""": """
        preprocessing.LabelBinarizer preprocessing.LabelEncoder
        preprocessing.MultiLabelBinarizer""",
    """what its fitted parts say of the row: chosen, stacked, averaged, voted, calibrated or passed
    on, row by row""": """
        calibration.CalibratedClassifierCV compose.ColumnTransformer
        compose.TransformedTargetRegressor ensemble.AdaBoostClassifier
        ensemble.AdaBoostRegressor ensemble.BaggingClassifier ensemble.BaggingRegressor
        ensemble.StackingClassifier ensemble.StackingRegressor ensemble.VotingClassifier
        ensemble.VotingRegressor frozen.FrozenEstimator linear_model.RANSACRegressor
        model_selection.FixedThresholdClassifier model_selection.GridSearchCV
        model_selection.HalvingGridSearchCV model_selection.HalvingRandomSearchCV
        model_selection.RandomizedSearchCV model_selection.TunedThresholdClassifierCV
        multiclass.OneVsOneClassifier multiclass.OneVsRestClassifier
        multiclass.OutputCodeClassifier multioutput.ClassifierChain
        multioutput.MultiOutputClassifier multioutput.MultiOutputRegressor
        multioutput.RegressorChain pipeline.FeatureUnion pipeline.Pipeline
        semi_supervised.SelfTrainingClassifier""",
}
ROWWISE = {name: " ".join(why.split()) for why, names in ROWWISE.items() for name in names.split()}

DEPENDENT: dict[str, str] = {
    """stops when all rows of a prediction together have converged""": """
        decomposition.MiniBatchNMF decomposition.NMF""",
    """solves for all rows of a prediction at once, which nobody proved to be row by row""": """
        decomposition.DictionaryLearning decomposition.MiniBatchDictionaryLearning
        decomposition.SparseCoder""",
    """fills a row without any value otherwise when other rows have some, and may draw random
    numbers""": """
        impute.IterativeImputer""",
    """may choose between equally near rows by the rounding of a product of matrices, which differs
    with the number of rows""": """
        impute.KNNImputer""",
    """decides by all rows of a prediction whether it was given probabilities or scores""": """
        calibration._TemperatureScaling""",
    """takes cosines of a product of matrices: of large numbers, rounding makes them anything, and
    differs with the number of rows""": """
        kernel_approximation.RBFSampler kernel_approximation.SkewedChi2Sampler""",
    """makes several rows of one""": """
        feature_extraction.PatchExtractor""",
    """says nothing of rows that it was not fitted on""": """
        cluster.AgglomerativeClustering cluster.DBSCAN cluster.HDBSCAN cluster.OPTICS
        cluster.SpectralBiclustering cluster.SpectralClustering cluster.SpectralCoclustering
        manifold.ClassicalMDS manifold.MDS manifold.SpectralEmbedding manifold.TSNE
        covariance.EmpiricalCovariance covariance.GraphicalLasso covariance.GraphicalLassoCV
        covariance.LedoitWolf covariance.MinCovDet covariance.OAS
        covariance.ShrunkCovariance""",
}
DEPENDENT = {
    name: " ".join(why.split()) for why, names in DEPENDENT.items() for name in names.split()
}

FUNCTIONS = {"predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba"}
"""Functions of a model that MLflow may call, and that give one answer a row; `score` gives one for
all."""

ELEMENTWISE = {"around", "clip", "fix", "nan_to_num", "round", "real", "sinc", "i0"}
"""Functions of numpy, beside the ufuncs of one argument of numpy and scipy.special."""

POOLING = {"max", "mean", "median", "min", "sum"}
"""Functions of numpy, applied to the columns of each row."""

TREES = {"ball_tree", "kd_tree"}
PAIRWISE = {"manhattan", "cityblock", "l1", "chebyshev", "hamming", "canberra", "braycurtis"}
NEIGHBORS = TREES | PAIRWISE
"""Each row walks a tree, or its distances are added up pair by pair. Euclidean ones by brute force
come from a product of matrices: its rounding differs with the number of rows, and chooses between
neighbours that are equally near, say rows that were fitted twice with different labels."""

NO_DRAWS = {"constant", "mean", "median", "most_frequent", "prior", "quantile"}
"""Strategies of a dummy; the others draw random numbers."""

FIT_ONLY = {
    "callback", "callbacks", "cv", "cv_", "cv_results_", "importance_getter", "is_data_valid",
    "is_model_valid", "optimizer", "param_distributions", "param_grid", "refit", "score_func",
    "scorer_", "scoring", "_curve_scorer", "_kmeans_single", "_metadata_request",
    "_sklearn_output_config",
}  # fmt: skip
"""Attributes that predictions do not use, or use without rows: they may hold anything."""
