"""How networks learn from labeled images: optimizers, schedules, losses, balance, checkpoints, and the fit itself."""

from cspine.training.learning.balance import epoch_order
from cspine.training.learning.config import FitConfig, Hardware
from cspine.training.learning.consistency import ConsistencyPlan, Pairs, Unlabeled, consistency_loss, consistency_weight
from cspine.training.learning.fit import Fitted, Problem, fit, make_fabric, train_mode
from cspine.training.learning.history import EpochRow
from cspine.training.learning.losses import Loss, LossPlan, make_loss, positive_weights, segmentation_loss
from cspine.training.learning.optimizers import OPTIMIZERS, make_optimizer
from cspine.training.learning.predict import Predicted, predict
from cspine.training.learning.schedules import Schedule, rate_factor
from cspine.training.learning.stream import Samples, Walk

__all__ = [
    "OPTIMIZERS",
    "ConsistencyPlan",
    "EpochRow",
    "FitConfig",
    "Fitted",
    "Hardware",
    "Loss",
    "LossPlan",
    "Pairs",
    "Predicted",
    "Problem",
    "Samples",
    "Schedule",
    "Unlabeled",
    "Walk",
    "consistency_loss",
    "consistency_weight",
    "epoch_order",
    "fit",
    "make_fabric",
    "make_loss",
    "make_optimizer",
    "positive_weights",
    "predict",
    "rate_factor",
    "segmentation_loss",
    "train_mode",
]
