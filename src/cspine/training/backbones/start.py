"""Where a network begins: at random, at timm's ImageNet weights, or at those of a file."""

from dataclasses import dataclass
from pathlib import Path

import huggingface_hub.errors
import timm
import torch
from timm.models import load_state_dict_from_hf

from cspine.domain import ConfigError
from cspine.training.backbones.build import SliceClassifier
from cspine.training.backbones.catalog import BACKBONES
from cspine.training.backbones.mobilenet import is_folded_mobilenet, unfold_mobilenet
from cspine.training.state_files import State, load_state

NONE = "none"
IMAGENET = "imagenet"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLASSIFIERS = ("classifier.", "fc.", "head.fc.", "pre_logits.")


@dataclass(frozen=True)
class Start:
    """What a network began with.

    Attributes
    ----------
    source
        Words for documents: ``random``, ``timm/…``, or the file's name.
    mean, std
        What the weights expect of images in 0 … 1, per channel.
    folded
        Batch norm was folded into the weights: its statistics have no meaning of their own and must stay frozen.
    """

    source: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    folded: bool = False


def begin(network: SliceClassifier, name: str, weights: str) -> Start:
    """Load weights into the backbone of a network.

    Parameters
    ----------
    name
        The backbone's name.
    weights
        ``none``, ``imagenet`` (from timm's hub, or its cache on this machine), or a file that `load_state` reads.

    Raises
    ------
    ConfigError
        The weights cannot be fetched, or do not fit the network.
    """
    config = timm.get_pretrained_cfg(BACKBONES[name].timm)
    mean, std = (config.mean, config.std) if config is not None else (IMAGENET_MEAN, IMAGENET_STD)
    if weights == NONE:
        return Start("random", mean, std)
    if weights == IMAGENET:
        source, state = _from_hub(name)
        _load(network, state, source)
        return Start(source, mean, std)
    path = Path(weights)
    state = load_state(path)
    if is_folded_mobilenet(state):
        unfold_mobilenet(network.backbone, state, str(path))
        return Start(path.name, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), folded=True)
    _load(network, state, str(path))
    return Start(path.name, mean, std)


def _from_hub(name: str) -> tuple[str, State]:
    """Fetch timm's own weights; without a network one sentence says what else there is."""
    config = timm.get_pretrained_cfg(BACKBONES[name].timm)
    hub_id = None if config is None else config.hf_hub_id
    if not hub_id:
        raise ConfigError(f"timm has no ImageNet weights of {name}; use --weights none or --weights FILE")
    try:
        state: State = load_state_dict_from_hf(hub_id, weights_only=True)
    except (OSError, huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.LocalEntryNotFoundError) as error:
        raise ConfigError(
            f"the ImageNet weights of {name} ({hub_id}) are neither on this machine nor to be fetched; "
            "give a file with --weights FILE, or begin at random with --weights none"
        ) from error
    return hub_id, state


def _load(network: SliceClassifier, state: State, where: str) -> None:
    """Load what fits a backbone or a whole classifier; the classifier of other classes is left out.

    A first layer for another number of channels is adapted as timm does: summed or repeated over color.
    """
    prefix = "backbone."
    if any(key.startswith(prefix) for key in state):
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    wanted = network.backbone.state_dict()
    kept = {k: v for k, v in state.items() if not k.startswith((*CLASSIFIERS, "AuxLogits."))}
    absent = [key for key in wanted if key not in kept and not key.endswith("num_batches_tracked")]
    extra = [key for key in kept if key not in wanted]
    wrong = [key for key in wanted if key in kept and kept[key].shape != wanted[key].shape]
    if absent or extra or wrong:
        first = next(iter([*absent, *extra, *wrong]))
        raise ConfigError(
            f"{where}: not weights of this network: {len(absent)} arrays absent, {len(extra)} unknown, "
            f"{len(wrong)} of another shape (first {first}); give a file for it with --weights FILE, or --weights none"
        )
    network.backbone.load_state_dict(kept, strict=False)


def normalized(image: torch.Tensor, start: Start) -> torch.Tensor:
    """Return an image (3, H, W) in 0 … 1 as the weights expect it."""
    mean, std = (torch.tensor(v, dtype=image.dtype)[:, None, None] for v in (start.mean, start.std))
    out: torch.Tensor = (image - mean) / std
    return out
