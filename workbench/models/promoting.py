"""Giving a model an alias: the gate is asked, then the alias moves here and in the registry."""

import re
from collections.abc import Callable

import sqlalchemy as sa

from workbench.core import Context, Forbidden, Invalid, Refused

from .ports import RELEASES, gates, registries
from .types import Model, models


def give_alias(ctx: Context, model: str, alias: str) -> Model:
    """See the action `models.promote`."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", alias) or re.fullmatch(r"v\d+|latest", alias):
        raise Invalid(
            f"{alias!r} cannot be an alias.",
            hint="Small letters, digits, _ and -, a letter first; not `latest`, not `v1`.",
        )
    found = models.get(ctx.store, ctx.project, model)
    answer = ctx.engine(gates).check(ctx, found, alias)
    if not answer.allowed:
        raise Refused(
            f"{found.name}@{found.version} may not become {alias}: {' '.join(answer.reasons)}",
            hint=f"Assess it (ethics.assess, model={found.ref}), or promote another version.",
        )
    if alias in RELEASES and not ctx.actor.fresh:
        raise Forbidden(
            f"Releasing {found.name}@{found.version} to {alias} needs a person to confirm who "
            "they are.",
            hint="Do it on the model's page among the Studio's own pages, not from a project.",
        )
    holders = [
        each
        for each in models.versions(ctx.store, ctx.project, found.id)
        if alias in each.aliases and each.version != found.version
    ]
    for each in holders:
        less = [other for other in each.aliases if other != alias]
        changed = each.model_copy(update={"aliases": less})
        ctx.stage(_rewriting(ctx.project, changed))
    promoted = found.model_copy(update={"aliases": sorted({*found.aliases, alias})})
    ctx.stage(_rewriting(ctx.project, promoted))
    ctx.note(model=found.ref, alias=alias)
    registry = ctx.engine(registries)
    before = holders[-1].registered if holders else ""
    registry.alias(found.registered, alias)

    def back() -> None:
        if before:
            registry.alias(before, alias)
        else:
            registry.unalias(found.registered, alias)

    ctx.on_abort(back)
    return promoted


def _rewriting(project: str, model: Model) -> Callable[[sa.Connection], None]:
    return lambda tx: models.replace(tx, project, model)
