"""scikit-learn: ridge regression that chooses its penalty by folds, or by leaving out one."""

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold

from benchmarks.suite.inputs import N_FOLDS, PENALTIES, SEED

Arrays = dict[str, np.ndarray]


def picture_ridge(arrays: Arrays, units: int) -> Arrays:
    """Choose by the same folds as ours."""
    voxels = arrays["voxels"]
    folds = GroupKFold(N_FOLDS, shuffle=True, random_state=SEED)
    splits = list(folds.split(voxels, groups=np.arange(len(voxels))))
    model = RidgeCV(PENALTIES, cv=splits, scoring="neg_mean_squared_error")
    return _predicted(model, arrays, units)


def picture_ridge_leaving_out_one(arrays: Arrays, units: int) -> Arrays:
    """Choose as RidgeCV does unless it is told otherwise, by leaving out each picture in turn."""
    return _predicted(RidgeCV(PENALTIES), arrays, units)


def _predicted(model: RidgeCV, arrays: Arrays, units: int) -> Arrays:
    model.fit(arrays["voxels"], arrays["pixels"][:, :units])
    log_penalty = np.log10([model.alpha_])
    return {"predicted": model.predict(arrays["new"]), "log_penalty": log_penalty}
