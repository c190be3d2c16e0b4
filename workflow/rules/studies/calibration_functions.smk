# Functions of the calibration: its targets.


def calibration_targets():
    """Return the calibration figure, unless no data set is to be simulated."""
    wanted = config["calibration"]["n_simulations"] > 0
    return ["<results>/calibration/figures/calibration.png"] if wanted else []


STUDY_TARGETS.append(calibration_targets)
