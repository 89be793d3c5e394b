"""A detector from a user's own studies in the layout of RSNA 2022, by one command."""

from cspine.training.flagship.recipe import AdaptPlan, FlagshipRecipe
from cspine.training.flagship.run import train_flagship

__all__ = ["AdaptPlan", "FlagshipRecipe", "train_flagship"]
