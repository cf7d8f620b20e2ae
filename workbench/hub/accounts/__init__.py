"""Local accounts: whoever gets a one-time link or an invitation chooses a password.

A second factor may stand beside the password; accounts of an identity provider beside both
(`workbench.hub.oidc`). A name has one way in: no account takes over another.

`authenticator` decides; a page each is `signin`, one-time `links`, `joining` by invitation,
`confirming`, `changing` a password and `factors`. They come in by `arriving`; what is kept is in
`tables`.
"""

from .arriving import PASSWORDS, PROVED, Arrival, Form
from .authenticator import FAILURES, PAUSE_S, REMEMBERED, StudioAuthenticator
from .changing import ChangePassword
from .confirming import Confirm
from .factors import SecondFactorPage
from .joining import Join
from .links import Welcome
from .signin import HALFWAY_DAYS, SignIn
from .tables import Identity, Made, SecondFactor

__all__ = [
    "FAILURES",
    "HALFWAY_DAYS",
    "PASSWORDS",
    "PAUSE_S",
    "PROVED",
    "REMEMBERED",
    "Arrival",
    "ChangePassword",
    "Confirm",
    "Form",
    "Identity",
    "Join",
    "Made",
    "SecondFactor",
    "SecondFactorPage",
    "SignIn",
    "StudioAuthenticator",
    "Welcome",
]
