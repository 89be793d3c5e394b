"""`winner-2022`: the design of the first place of the RSNA 2022 challenge, in our own words and code."""

from cspine.training.recipes.winner_2022.config import (
    CropPlan,
    SequencePlan,
    Winner2022,
    Winner2022Table,
    winner_2022,
    winner_2022_table,
)
from cspine.training.recipes.winner_2022.crops import CropSet, StudyCrops, crop_set, crop_study, read_crops
from cspine.training.recipes.winner_2022.network import StudyNet, VertebraNet, widened
from cspine.training.recipes.winner_2022.page import write_winner_2022
from cspine.training.recipes.winner_2022.run import WinnerRun, run_winner_2022
from cspine.training.recipes.winner_2022.system import SYSTEM
from cspine.training.recipes.winner_2022.table import WinnerExperiment, experiment_on

__all__ = [
    "SYSTEM",
    "CropPlan",
    "CropSet",
    "SequencePlan",
    "StudyCrops",
    "StudyNet",
    "VertebraNet",
    "Winner2022",
    "Winner2022Table",
    "WinnerExperiment",
    "WinnerRun",
    "crop_set",
    "crop_study",
    "experiment_on",
    "read_crops",
    "run_winner_2022",
    "widened",
    "winner_2022",
    "winner_2022_table",
    "write_winner_2022",
]
