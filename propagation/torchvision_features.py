"""Feature maps of any of torchvision's convolutional networks, for classification or for segmentation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
import torchvision
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.feature_extraction import create_feature_extractor

from propagation.devices import reduced_precision
from propagation.pretrained import load, state_dict
from workspace.errors import UserError

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_WIDEST = 320  # channels; a wider map is reduced to 256, which bounds what the decoder has to learn and keep
_REDUCED = 256
_PROBE = (128, 192)  # px; two different sides, so that no map passes whose axes are in another order
_STRIDES = (2, 4, 8, 16, 32)
_FEWEST_MAPS = 3

_RESNET = ("backbone.relu", "backbone.layer1", "backbone.layer2", "backbone.layer3", "backbone.layer4")
_MOBILENET = ("backbone.1", "backbone.3", "backbone.6", "backbone.12", "backbone.16")
CHOSEN: dict[str, tuple[str, ...]] = {
    "mobilenet_v2": tuple(f"features.{number}" for number in (1, 3, 6, 10, 13, 17)),
    "deeplabv3_resnet50": (*_RESNET, "classifier.3"),
    "deeplabv3_resnet101": (*_RESNET, "classifier.3"),
    "deeplabv3_mobilenet_v3_large": (*_MOBILENET, "classifier.3"),
    "fcn_resnet50": (*_RESNET, "classifier.2"),
    "fcn_resnet101": (*_RESNET, "classifier.2"),
    "lraspp_mobilenet_v3_large": (*_MOBILENET, "classifier.mul"),
}
"""Maps chosen by hand, as node names of torchvision.models.feature_extraction.

Of networks for segmentation, whose strides stop at 8 or 16: the end of each stage, and the head's last map before it
decides on classes (atrous pyramid pooling in DeepLab: Chen et al. 2017, arXiv:1706.05587; the gated map of LR-ASPP:
Howard et al. 2019, arXiv:1905.02244).
"""


class TorchvisionFeatures(nn.Module):
    """The maps of one of torchvision's networks, with the frame's own colours at stride 1 in front.

    Which maps: `CHOSEN`, else the last of each stride from 2 to 32. A map of more than 320 channels is reduced to 256
    by a fixed random projection, which keeps distances about as they are (Johnson & Lindenstrauss 1984).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, weights: str | None) -> None:
        """weights: a name that torchvision knows, a path, or None for random ones; UserError if they cannot be had."""
        super().__init__()
        network = _random_network(name)
        whole = set(network.state_dict())
        layers = _cut(network, name)
        if weights is not None:
            known = torchvision.models.get_model_weights(name)
            state = state_dict(weights, known, "segmenter.weights", "set it to null to do without")
            load(layers, state, whole, weights, name)
        self.pretrained = weights is not None
        self.layers = fold_batch_norms(layers).to(memory_format=torch.channels_last)
        with torch.no_grad():
            maps = self.layers(torch.zeros(1, 3, *_PROBE))
        found = [level.shape[1] for level in maps.values()]
        self.reduce = nn.ModuleList([_projection(count) if count > _WIDEST else nn.Identity() for count in found])
        self.channels: Sequence[int] = (3, *(_REDUCED if count > _WIDEST else count for count in found))
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_IMAGENET_STD)[:, None, None])

    def forward(self, image: Tensor) -> list[Tensor]:
        x = ((image - self.mean) / self.std).to(memory_format=torch.channels_last)
        with reduced_precision(image.device):
            maps = self.layers(x)
            levels = [reduce(level) for reduce, level in zip(self.reduce, maps.values(), strict=True)]
        return [x, *(level.float() for level in levels)]


def can_be_a_backbone(name: str) -> bool:
    """Whether torchvision has a network of this name that classifies images."""
    return name in torchvision.models.list_models(module=torchvision.models)


def last_of_each_stride(network: nn.Module) -> tuple[str, ...]:
    """The module that gives the last map of each stride from 2 to 32, in the order in which they run.

    Blocks are looked at from outside, never inside: where a block makes the map smaller, it does so after it has
    widened it, and what it holds in between is no result.
    """
    latest: dict[int, str] = {}

    def listen(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def note(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                for stride in _STRIDES:
                    if tuple(output.shape[2:]) == (_PROBE[0] // stride, _PROBE[1] // stride):
                        latest.pop(stride, None)
                        latest[stride] = name

        return module.register_forward_hook(note)

    handles = [listen(name, module) for name, module in _blocks(network, "")]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, *_PROBE))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(latest.values())


def _blocks(network: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if type(child) in (nn.Sequential, nn.ModuleDict, IntermediateLayerGetter):
            yield from _blocks(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def _random_network(name: str) -> nn.Module:
    options = (
        {"weights_backbone": None} if name in torchvision.models.list_models(torchvision.models.segmentation) else {}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two old networks announce that they will begin otherwise one day
        network: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return network.eval()


def _cut(network: nn.Module, name: str) -> fx.GraphModule:
    """What of `network` is needed for the chosen maps: a module that gives them by node name."""
    try:
        nodes = CHOSEN.get(name) or last_of_each_stride(network)
        if len(nodes) < _FEWEST_MAPS:
            raise ValueError(f"{len(nodes)} at strides 2 to 32")
        both = create_feature_extractor(network, list(nodes), suppress_diff_warning=True).eval()
    except Exception as error:  # a network made for one size, or that cannot be traced, raises whatever its code does
        raise UserError(
            f"segmenter.name {name!r} does not give the maps to learn from: {' '.join(str(error).split())[:150]}.",
            "Choose a convolutional network such as mobilenet_v2, resnet50 or convnext_tiny.",
        ) from None
    return fx.GraphModule(both, both.eval_graph)


def fold_batch_norms(layers: fx.GraphModule) -> fx.GraphModule:
    """Batch norms that follow a convolution become part of it: the same numbers in half the time on a CPU."""
    _fold_inside(layers)
    modules = dict(layers.named_modules())
    for node in list(layers.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[str(node.target)], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) != 1:
            continue
        convolution = modules[str(before.target)]
        if isinstance(convolution, nn.Conv2d):
            folded = fuse_conv_bn_eval(convolution, modules[str(node.target)])
            layers.set_submodule(str(before.target), folded)
            node.replace_all_uses_with(before)
            layers.graph.erase_node(node)
    layers.delete_all_unused_submodules()
    layers.recompile()
    return layers


def _fold_inside(layers: nn.Module) -> None:
    """The same for torchvision's own blocks (Conv2dNormActivation), which tracing does not look into."""
    for block in layers.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for first, second in zip(list(block)[:-1], list(block)[1:], strict=True):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                names = {id(child): name for name, child in block.named_children()}
                setattr(block, names[id(first)], fuse_conv_bn_eval(first, second))
                setattr(block, names[id(second)], nn.Identity())


def _projection(channels: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, _REDUCED, 1, bias=False)
    nn.init.normal_(layer.weight, std=_REDUCED**-0.5)
    return layer
