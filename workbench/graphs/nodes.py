"""What a node may be called, and what its parameters may be."""

import keyword
import reprlib
from typing import Any

from workbench.core import Invalid

from .arguments import is_arguments
from .layers import KINDS
from .training import TRAINING
from .types import Layer, Node, Parameter

LONGEST_LIST = 8

_RESERVED = (
    "T_destination add_module add_submodule apply bfloat16 buffers call_super_init "
    "children code compile cpu cuda delete_all_unused_submodules delete_submodule double "
    "dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter "
    "get_submodule graph half ipu load_state_dict meta modules mtia named_buffers "
    "named_children named_modules named_parameters parameters print_readable recompile "
    "register_backward_hook register_buffer register_forward_hook "
    "register_forward_pre_hook register_full_backward_hook "
    "register_full_backward_pre_hook register_load_state_dict_post_hook "
    "register_load_state_dict_pre_hook register_module register_parameter "
    "register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ "
    "set_extra_state set_submodule shape_env share_memory state_dict to to_empty "
    "to_folder train training type xpu zero_grad "
)
RESERVED = frozenset(_RESERVED.split())
"""What a module of torch calls its own."""


def check_id(id: str) -> None:
    """Return if an id can be a node's: it becomes an attribute of a torch module.

    Raises:
        Invalid: It is no name of Python, too long, or torch's own.
    """
    if not id.isidentifier() or keyword.iskeyword(id) or id.startswith("_") or len(id) > 64:
        raise Invalid(
            f"{id!r} cannot be a node's id.",
            hint="Letters, digits and _, a letter first, at most 64, no word of Python.",
        )
    if id in RESERVED:
        raise Invalid(f"{id!r} cannot be a node's id: torch uses it.", hint="Rename the node.")


def params(node: Node) -> dict[str, Any]:
    """A node's parameters, with the defaults of those it does not name.

    Whole numbers are such, also where a document holds them as 3.0.
    """
    return {
        each.name: _plain(each, node.params.get(each.name, each.default))
        for each in KINDS[node.layer].layer.params
    }


def check_param(id: str, layer: Layer, name: str, value: Any) -> None:
    """Return if a node may have a parameter with that value.

    Args:
        id: The node's, for the sentence.
        layer: The node's.
        name: The parameter's.
        value: As JSON has it.

    Raises:
        Invalid: The layer has no such parameter, or it cannot be that.
    """
    parameter = next((each for each in layer.params if each.name == name), None)
    if parameter is None:
        raise Invalid(
            f"The node {id!r} ({layer.name}) has no parameter {name!r}.",
            hint=f"It takes: {', '.join(each.name for each in layer.params) or 'none'}.",
        )
    if not _fits(parameter, value):
        raise Invalid(
            f"The node {id!r} ({layer.name}) cannot have {name} {_short(value)}.",
            hint=_allowed(parameter),
        )


def check_training(name: str, value: Any) -> None:
    """Return if a graph's training may hold that.

    Raises:
        Invalid: There is no such setting, or it cannot be that.
    """
    if name not in TRAINING:
        raise Invalid(
            f"The graph's training has no {name!r}.", hint=f"It takes: {', '.join(TRAINING)}."
        )
    if not _fits(TRAINING[name], value):
        raise Invalid(
            f"The graph cannot be trained with {name} {_short(value)}.",
            hint=_allowed(TRAINING[name]),
        )


def _fits(parameter: Parameter, value: Any) -> bool:
    match parameter.type:
        case "boolean":
            return isinstance(value, bool)
        case "choice":
            return value in parameter.choices
        case "integer":
            return _whole(value) and _inside(parameter, value)
        case "number":
            return _number(value) and _inside(parameter, value)
        case "integers":
            if isinstance(value, str):
                return value in parameter.choices
            if not isinstance(value, list | tuple):
                return _whole(value) and _inside(parameter, value)
            right = parameter.length or len(value)
            return (
                len(value) == right <= LONGEST_LIST
                and all(_whole(each) and _inside(parameter, each) for each in value)
                and len(value) >= parameter.shortest
            )
        case "arguments":
            return is_arguments(value)


def _whole(value: Any) -> bool:
    return _number(value) and value == int(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300


def _inside(parameter: Parameter, value: float) -> bool:
    low, high = parameter.minimum, parameter.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _plain(parameter: Parameter, value: Any) -> Any:
    if parameter.type == "integer":
        return int(value)
    if parameter.type == "integers" and not isinstance(value, str):
        return [int(each) for each in value] if isinstance(value, list | tuple) else int(value)
    return value


def _allowed(parameter: Parameter) -> str:
    span = f"from {_told(parameter.minimum)} to {_told(parameter.maximum)}"
    match parameter.type:
        case "boolean":
            return "true or false."
        case "choice":
            return f"One of {', '.join(parameter.choices)}."
        case "integer":
            return f"A whole number {span}."
        case "number":
            return f"A number {span}."
        case "integers":
            count = parameter.length or f"{parameter.shortest} to {LONGEST_LIST}"
            words = "".join(f", or {each!r}" for each in parameter.choices)
            return f"A whole number {span}, or a list of {count}{words}."
        case "arguments":
            return 'JSON, such as [{"in": 0}, {"in": 1}, 2, {"rows": 1}, {"type": "int64"}].'


def _told(number: float | None) -> str:
    return "any" if number is None else f"{number:g}"


def _short(value: Any) -> str:
    return reprlib.repr(value)
